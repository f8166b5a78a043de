/** The elements of a laid out graph: those in sight at once, the others in the moments after, so that what is looked at is soon there. */

import { element } from "../dom";
import type { Run } from "../runs";
import { N_STATES, rollUp, type StateName } from "../states";
import type { VisibleGraph } from "./collapse";
import { EdgeCurves } from "./edges";
import type { Box, Layout } from "./layout";
import { NodeElement } from "./node";

/** Nodes made at a time: about 5 ms of script and of the browser's own layout. */
const N_AT_A_TIME = 24;

/** A part of the graph, in px from its left top. */
export interface Sight {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export class Drawing {
  readonly element: HTMLElement;
  readonly graph: VisibleGraph;
  readonly layout: Layout;
  /** The state of each node. */
  readonly states: StateName[] = [];
  run: Run;
  readonly #boxes: readonly Box[];
  readonly #nodes: (NodeElement | undefined)[] = [];
  readonly #edges: EdgeCurves;
  readonly #counts: Uint32Array;
  #nMade = 0;
  #current = 0;
  #marked: number | undefined;
  #open: number | undefined;

  constructor(run: Run, graph: VisibleGraph, boxes: readonly Box[], layout: Layout) {
    this.run = run;
    this.graph = graph;
    this.layout = layout;
    this.#boxes = boxes;
    this.#edges = new EdgeCurves(graph, layout);
    this.#counts = new Uint32Array(N_STATES * graph.nodes.length);
    this.element = element("div", "hbj-layer", {}, this.#edges.element);
  }

  /** Shows the run's states in the nodes that are there. */
  paint(run: Run): void {
    this.run = run;
    this.#counts.fill(0);
    this.graph.nodes.forEach(({ stages }, index) => {
      const to = N_STATES * index;
      for (const stage of stages) {
        for (let s = 0; s < N_STATES; s++) {
          this.#counts[to + s] = (this.#counts[to + s] ?? 0) + (run.stageCounts[N_STATES * stage + s] ?? 0);
        }
      }
      this.states[index] = rollUp(this.#counts, to);
    });
    this.#nodes.forEach((node, index) => {
      node?.paint(this.#countsOf(index));
    });
    this.#edges.paint(this.states);
  }

  /** Makes what lies in this part. */
  show({ left, top, right, bottom }: Sight): void {
    const { x, y, widths } = this.layout;
    this.#make((index) => {
      const [from = 0, above = 0] = [x[index], y[index]];
      const to = from + (widths[index] ?? 0);
      return from < right && to > left && above < bottom && above + (this.#boxes[index]?.height ?? 0) > top;
    });
  }

  /** Makes some of what is not there yet; gives whether there is more. */
  showMore(): boolean {
    let n = 0;
    this.#make(() => n++ < N_AT_A_TIME);
    return !this.isWhole;
  }

  get isWhole(): boolean {
    return this.#nMade === this.graph.nodes.length;
  }

  node(index: number): HTMLElement | undefined {
    this.#make((other) => other === index);
    return this.#nodes[index]?.element;
  }

  /** The node that the tab key leads to. */
  setCurrent(index: number): void {
    this.#nodes[this.#current]?.element.setAttribute("tabindex", "-1");
    this.#current = index;
    this.node(index)?.setAttribute("tabindex", "0");
  }

  mark(index: number | undefined): void {
    this.#nodes[this.#marked ?? -1]?.element.removeAttribute("data-marked");
    this.#marked = index;
    this.#nodes[index ?? -1]?.element.setAttribute("data-marked", "");
  }

  /** Says of which stack the jobs are listed below. */
  setOpen(index: number | undefined): void {
    this.#nodes[this.#open ?? -1]?.setOpen(false);
    this.#open = index;
    this.#nodes[index ?? -1]?.setOpen(true);
  }

  #make(isWanted: (index: number) => boolean): void {
    if (this.isWhole) return;
    let before: HTMLElement | null = null;
    // From the end, so that each is put before those that are there: the order stays that of the graph.
    for (let index = this.graph.nodes.length - 1; index >= 0; index--) {
      if (!this.#nodes[index] && isWanted(index)) this.#makeNode(index, before);
      before = this.#nodes[index]?.element ?? before;
    }
    this.#edges.show((node) => this.#nodes[node] !== undefined, this.states);
  }

  #makeNode(index: number, before: Element | null): void {
    const node = this.graph.nodes[index];
    if (!node) return;
    const { x, y, widths } = this.layout;
    const made = new NodeElement(node);
    made.element.dataset.index = String(index);
    made.place(x[index] ?? 0, y[index] ?? 0, widths[index] ?? 0, this.#boxes[index]?.height ?? 0);
    made.paint(this.#countsOf(index));
    made.element.toggleAttribute("data-marked", index === this.#marked);
    if (index === this.#open) made.setOpen(true);
    this.#nodes[index] = made;
    this.#nMade++;
    this.element.insertBefore(made.element, before);
  }

  #countsOf(index: number): Uint32Array {
    return this.#counts.subarray(N_STATES * index, N_STATES * (index + 1));
  }
}
