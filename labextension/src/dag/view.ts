/** Draws the collapsed graph, keeps its nodes' states, and lets the keyboard and the mouse move in it. */

import { element, setHidden, setText } from "../dom";
import { formatCount, plural } from "../format";
import type { Run } from "../runs";
import type { StateName } from "../states";
import { collapse, type VisibleGraph, type VisibleNode } from "./collapse";
import { Drawing, type Sight } from "./drawing";
import { isHeld, isKey, neighbour } from "./keys";
import { layOut } from "./layout";
import { type Measure, nodeBox } from "./node";
import { panByDragging } from "./pan";

/** Room around the graph, in px. */
const MARGIN = 14;

/** What is made beyond what is in sight, in px. */
const SPARE = 60;

/** Height of the sight that is taken for it until something is in it, in px; that of the style sheet. */
const USUAL_HEIGHT = 320;

/** Between two parts of what is not in sight, in ms, so that the page can do other things. */
const PAUSE_MS = 30;

const EVERYTHING: Sight = { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity };

export class DagView {
  readonly element: HTMLElement;
  readonly #canvas = element("div", "hbj-canvas");
  readonly #viewport = element("div", "hbj-dag", { role: "group" }, this.#canvas);
  readonly #folded = element("div", "hbj-rest");
  readonly #choose: (node: VisibleNode) => void;
  readonly #measure: Measure;
  readonly #signal: AbortSignal;
  #drawing: Drawing | null = null;
  #current = 0;
  #touched = false;

  constructor(choose: (node: VisibleNode) => void, measure: Measure, signal: AbortSignal) {
    this.#choose = choose;
    this.#measure = measure;
    this.#signal = signal;
    this.element = element("div", "hbj-graph", {}, this.#viewport, this.#folded);
    panByDragging(this.#viewport, signal);
    this.#viewport.addEventListener("click", (event) => this.#onClick(event), { signal });
    this.#viewport.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.#viewport.addEventListener("scroll", () => this.#showSight(), { signal, passive: true });
    for (const touch of ["pointerdown", "wheel", "keydown"]) {
      this.#viewport.addEventListener(touch, () => this.#onTouch(), { signal, passive: true });
    }
  }

  update(run: Run): void {
    // Asked before anything is drawn: afterwards it costs a layout of the whole graph, and a second one when all is there.
    const { clientWidth, scrollLeft } = this.#viewport;
    if (!this.#drawing?.run.sameGraph(run)) this.#draw(run, clientWidth);
    if (!this.#drawing) return;
    this.#drawing.paint(run);
    const left = this.#follow(this.#drawing, clientWidth, scrollLeft);
    this.#showSight(clientWidth, left);
    if (left !== scrollLeft) this.#viewport.scrollLeft = left;
  }

  /** Marks the stack whose jobs are listed below; null for none. */
  setOpen(open: VisibleNode | null): void {
    const index = this.#drawing?.graph.nodes.findIndex(
      ({ kind, stages }) => kind !== "job" && stages[0] === open?.stages[0],
    );
    this.#drawing?.setOpen(index);
  }

  /** Marks the node of a job; null for none. */
  mark(job: number | null): void {
    if (!this.#drawing) return;
    const { graph, run } = this.#drawing;
    this.#drawing.mark(job === null ? undefined : graph.nodeOfStage[run.stage[job] ?? 0]);
  }

  focus(): void {
    this.#drawing?.node(this.#current)?.focus({ preventScroll: true });
  }

  #draw(run: Run, widthPx: number): void {
    const graph = collapse(run, (job) => run.name(job));
    const boxes = graph.nodes.map((node) => nodeBox(node, this.#measure));
    const layout = layOut(boxes, graph, Math.max(0, widthPx - 2 * MARGIN));
    const drawing = new Drawing(run, graph, boxes, layout);
    this.#canvas.style.width = `${layout.width + 2 * MARGIN}px`;
    this.#canvas.style.height = `${layout.height + 2 * MARGIN}px`;
    this.#canvas.replaceChildren(drawing.element);
    this.#drawing = drawing;
    const count = graph.nodes.length;
    this.#viewport.setAttribute("aria-label", `Job graph, ${plural(count, "node")}; arrow keys move`);
    this.#sayFolded(graph, run);
    this.#setCurrent(Math.min(this.#current, count - 1));
    this.#goOn(drawing);
  }

  #goOn(drawing: Drawing): void {
    setTimeout(() => {
      if (drawing === this.#drawing && !this.#signal.aborted && drawing.showMore()) this.#goOn(drawing);
    }, PAUSE_MS);
  }

  /** Makes what is in sight. */
  #showSight(widthPx = this.#viewport.clientWidth, left = this.#viewport.scrollLeft): void {
    if (this.#drawing?.isWhole) return;
    const { scrollTop, clientHeight } = this.#viewport;
    const from = { left: left - MARGIN - SPARE, top: scrollTop - MARGIN - SPARE };
    const heightPx = Math.max(clientHeight, USUAL_HEIGHT);
    const to = { right: left + widthPx + SPARE, bottom: scrollTop + heightPx + SPARE };
    this.#drawing?.show(widthPx ? { ...from, ...to } : EVERYTHING);
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

  /** Until the user moves the graph: where what runs is in sight, or what will run next; at the end, what failed. */
  #follow({ run, states, layout }: Drawing, widthPx: number, leftPx: number): number {
    if (this.#touched || layout.width + 2 * MARGIN <= widthPx) return leftPx;
    const wanted: readonly StateName[] = run.clock.complete
      ? ["failed", "error"]
      : ["running", "creating", "ready", "pending"];
    const at = wanted.map((state) => states.indexOf(state)).find((index) => index >= 0);
    if (at === undefined) return leftPx;
    const left = layout.x[at] ?? 0;
    const right = left + (layout.widths[at] ?? 0) + 2 * MARGIN;
    if (left >= leftPx && right <= leftPx + widthPx) return leftPx;
    return Math.max(0, left - widthPx / 3);
  }

  #setCurrent(index: number): void {
    this.#current = Math.max(0, index);
    this.#drawing?.setCurrent(this.#current);
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
    this.#drawing?.node(index)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #activate(index: number): void {
    const node = this.#drawing?.graph.nodes[index];
    if (!node) return;
    this.#setCurrent(index);
    this.focus();
    this.#choose(node);
  }
}
