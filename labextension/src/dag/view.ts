/** Draws the collapsed graph, keeps its nodes' states, and lets the keyboard and the mouse move in it. */

import { element, setHidden, setText } from "../dom";
import { formatCount, plural } from "../format";
import type { Run } from "../runs";
import { N_STATES } from "../states";
import { collapse, type VisibleGraph, type VisibleNode } from "./collapse";
import { EdgeCurves } from "./edges";
import { isHeld, isKey, neighbour } from "./keys";
import { type Layout, layOut } from "./layout";
import { type Measure, NodeElement, nodeBox } from "./node";
import { panByDragging } from "./pan";

/** Room around the graph, in px. */
const MARGIN = 14;

interface Drawing {
  run: Run;
  graph: VisibleGraph;
  layout: Layout;
  nodes: NodeElement[];
  edges: EdgeCurves;
}

export class DagView {
  readonly element: HTMLElement;
  readonly #canvas = element("div", "hbj-canvas");
  readonly #viewport = element("div", "hbj-dag", { role: "group" }, this.#canvas);
  readonly #folded = element("div", "hbj-rest");
  readonly #choose: (node: VisibleNode) => void;
  readonly #measure: Measure;
  readonly #counts = new Uint32Array(N_STATES);
  #drawing: Drawing | null = null;
  #current = 0;
  #touched = false;

  constructor(choose: (node: VisibleNode) => void, measure: Measure, signal: AbortSignal) {
    this.#choose = choose;
    this.#measure = measure;
    this.element = element("div", "hbj-graph", {}, this.#viewport, this.#folded);
    panByDragging(this.#viewport, signal);
    this.#viewport.addEventListener("click", (event) => this.#onClick(event), { signal });
    this.#viewport.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    for (const touch of ["pointerdown", "wheel", "keydown"]) {
      this.#viewport.addEventListener(touch, () => this.#onTouch(), { signal, passive: true });
    }
  }

  update(run: Run): void {
    if (!this.#drawing?.run.sameGraph(run)) this.#draw(run);
    if (!this.#drawing) return;
    this.#drawing.run = run;
    this.#paint(this.#drawing);
  }

  /** Marks the stack whose jobs are listed below; null for none. */
  setOpen(open: VisibleNode | null): void {
    this.#drawing?.graph.nodes.forEach((node, index) => {
      if (node.kind === "job") return;
      const isOpen = open !== null && node.stages[0] === open.stages[0];
      this.#drawing?.nodes[index]?.element.setAttribute("aria-expanded", String(isOpen));
    });
  }

  /** Marks the node of a job; null for none. */
  mark(job: number | null): void {
    if (!this.#drawing) return;
    const { graph, nodes, run } = this.#drawing;
    const marked = job === null ? undefined : graph.nodeOfStage[run.stage[job] ?? 0];
    nodes.forEach(({ element }, index) => {
      element.toggleAttribute("data-marked", index === marked);
    });
  }

  focus(): void {
    this.#drawing?.nodes[this.#current]?.element.focus({ preventScroll: true });
  }

  #draw(run: Run): void {
    const graph = collapse(run, (job) => run.name(job));
    const boxes = graph.nodes.map((node) => nodeBox(node, this.#measure));
    const layout = layOut(boxes, graph, Math.max(0, this.#viewport.clientWidth - 2 * MARGIN));
    const nodes = graph.nodes.map((node, index) => {
      const made = new NodeElement(node);
      made.element.dataset.index = String(index);
      made.place(
        layout.x[index] ?? 0,
        layout.y[index] ?? 0,
        layout.widths[index] ?? 0,
        boxes[index]?.height ?? 0,
      );
      return made;
    });
    const edges = new EdgeCurves(graph, layout);
    this.#canvas.style.width = `${layout.width + 2 * MARGIN}px`;
    this.#canvas.style.height = `${layout.height + 2 * MARGIN}px`;
    const layer = element("div", "hbj-layer", {}, edges.element, ...nodes.map((node) => node.element));
    this.#canvas.replaceChildren(layer);
    this.#drawing = { run, graph, layout, nodes, edges };
    this.#viewport.setAttribute("aria-label", `Job graph, ${plural(nodes.length, "node")}; arrow keys move`);
    this.#sayFolded(graph, run);
    this.#setCurrent(Math.min(this.#current, nodes.length - 1));
  }

  #sayFolded({ nFolded, nodes }: VisibleGraph, run: Run): void {
    setHidden(this.#folded, nFolded === 0);
    const nAlone = run.stages.length - nFolded;
    const nMore = nodes.filter((node) => node.kind === "more").length;
    setText(
      this.#folded,
      `${formatCount(nAlone)} of ${plural(run.stages.length, "stage")} drawn one by one; the others are in ${plural(nMore, "“+N more” node")}.`,
    );
  }

  #paint({ run, graph, nodes, edges, layout }: Drawing): void {
    nodes.forEach((node, index) => {
      this.#counts.fill(0);
      for (const stage of graph.nodes[index]?.stages ?? []) {
        for (let s = 0; s < N_STATES; s++) {
          this.#counts[s] = (this.#counts[s] ?? 0) + (run.stageCounts[N_STATES * stage + s] ?? 0);
        }
      }
      node.paint(this.#counts);
    });
    edges.paint((node) => nodes[node]?.state ?? "pending");
    this.#follow(run, nodes, layout);
  }

  /** Until the user moves the graph: keeps in sight what runs, or what will run next; at the end, what failed. */
  #follow(run: Run, nodes: NodeElement[], { x, widths }: Layout): void {
    const viewport = this.#viewport;
    if (this.#touched || viewport.scrollWidth <= viewport.clientWidth) return;
    const wanted = run.clock.complete ? ["failed", "error"] : ["running", "creating", "ready", "pending"];
    const at = wanted
      .map((state) => nodes.findIndex((node) => node.state === state))
      .find((index) => index >= 0);
    if (at === undefined) return;
    const left = x[at] ?? 0;
    const right = left + (widths[at] ?? 0) + 2 * MARGIN;
    if (left < viewport.scrollLeft || right > viewport.scrollLeft + viewport.clientWidth) {
      viewport.scrollLeft = Math.max(0, left - viewport.clientWidth / 3);
    }
  }

  #setCurrent(index: number): void {
    this.#drawing?.nodes[this.#current]?.element.setAttribute("tabindex", "-1");
    this.#current = Math.max(0, index);
    this.#drawing?.nodes[this.#current]?.element.setAttribute("tabindex", "0");
  }

  #onTouch(): void {
    this.#touched = true;
  }

  #onClick(event: Event): void {
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>(".hbj-node") : null;
    if (target) this.#activate(Number(target.dataset.index));
  }

  #onKey(event: KeyboardEvent): void {
    const drawing = this.#drawing;
    if (!drawing || isHeld(event)) return;
    if (event.key === "Enter" || event.key === " ") this.#activate(this.#current);
    else if (isKey(event.key)) this.#move(neighbour(drawing.layout, this.#current, event.key));
    else return;
    event.preventDefault();
  }

  #move(index: number): void {
    this.#setCurrent(index);
    this.focus();
    this.#drawing?.nodes[index]?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #activate(index: number): void {
    const node = this.#drawing?.graph.nodes[index];
    if (!node) return;
    this.#setCurrent(index);
    this.focus();
    this.#choose(node);
  }
}
