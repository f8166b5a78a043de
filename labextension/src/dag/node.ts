/** The element of one visible node: a job, a stack of jobs, or "+N more stages". */

import { bar, element, glyph, setAttribute, setBar, setGlyph } from "../dom";
import { countSentence, formatCount, plural } from "../format";
import { rollUp, segmentCounts, WORDS } from "../states";
import type { VisibleNode } from "./collapse";
import type { Box } from "./layout";

const JOB_HEIGHT = 30;
const STACK_HEIGHT = 48;
const MIN_WIDTH = 84;
const MAX_WIDTH = 220;

/** Width of a label in px, in the font of nodes. */
export type Measure = (text: string) => number;

export function nodeBox(node: VisibleNode, measure: Measure): Box {
  const times = node.kind === "job" ? 0 : 10 + measure(`×${formatCount(node.count)}`);
  const width = Math.ceil(measure(node.label) + times + 46);
  const least = node.kind === "job" ? MIN_WIDTH : MIN_WIDTH + 36;
  return {
    width: Math.min(MAX_WIDTH, Math.max(least, width)),
    height: node.kind === "job" ? JOB_HEIGHT : STACK_HEIGHT,
  };
}

export class NodeElement {
  readonly element: HTMLElement;
  readonly #node: VisibleNode;
  readonly #glyph = glyph("pending");
  readonly #bar: HTMLElement | null;
  #painted = "";

  constructor(node: VisibleNode) {
    this.#node = node;
    const stack = node.kind !== "job";
    this.#bar = stack ? bar("hbj-mini") : null;
    this.element = element("div", "hbj-node", {
      role: "button",
      tabindex: -1,
      "data-kind": node.kind,
      "data-name": node.label,
      [stack ? "data-stage" : "data-job"]: stack ? (node.stages[0] ?? 0) : node.job,
    });
    if (stack) this.setOpen(false);
    this.element.append(this.#glyph, element("span", "hbj-label", {}, node.label));
    if (this.#bar)
      this.element.append(element("span", "hbj-times", {}, `×${formatCount(node.count)}`), this.#bar);
  }

  /** Of a stack: whether its jobs are listed below. */
  setOpen(open: boolean): void {
    setAttribute(this.element, "aria-expanded", String(open));
  }

  place(left: number, top: number, width: number, height: number): void {
    Object.assign(this.element.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
  }

  /** Shows `counts`, the jobs of this node in each state. */
  paint(counts: Uint32Array): void {
    const painted = counts.join();
    if (painted === this.#painted) return;
    this.#painted = painted;
    const state = rollUp(counts);
    this.element.dataset.state = state;
    setGlyph(this.#glyph, state);
    const label = this.#describe(counts, WORDS[state]);
    setAttribute(this.element, "aria-label", label);
    setAttribute(this.element, "title", label);
    if (this.#bar) setBar(this.#bar, segmentCounts(counts));
  }

  #describe(counts: Uint32Array, word: string): string {
    const { label, count } = this.#node;
    if (!this.#bar) return `${label}, ${word}`;
    return `${label}, ${plural(count, "job")}, ${word}: ${countSentence(counts)}`;
  }
}
