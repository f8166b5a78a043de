/** The jobs of an opened stack, a cell each; only the rows in sight have elements, so that 50,000 jobs are no more than 1,200. */

import { isHeld, isKey, type Key } from "../dag/keys";
import { button, element, setText } from "../dom";
import { plural } from "../format";
import type { Run } from "../runs";
import { WORDS } from "../states";
import { CellRows } from "./cells";

/** Distance of cells in px: with room for a sign when there are few, small when there are many. */
const PITCH_PX = { large: 26, small: 14 };
const MAX_LARGE = 400;
/** Rows made above and below those in sight. */
const SPARE_ROWS = 2;
const DEFAULT_WIDTH_PX = 640;
const MAX_HEIGHT_PX = 210;

export interface GridEvents {
  choose(job: number): void;
  close(): void;
}

export class Grid {
  readonly element: HTMLElement;
  readonly #jobs: Uint32Array;
  #run: Run;
  readonly #pitchPx: number;
  readonly #rows: CellRows;
  readonly #viewport: HTMLElement;
  readonly #caption = element("span", "hbj-muted hbj-caption");
  #current = 0;
  #marked: number | null = null;

  constructor(run: Run, jobs: Uint32Array, label: string, on: GridEvents, signal: AbortSignal) {
    this.#run = run;
    this.#jobs = jobs;
    const size = jobs.length <= MAX_LARGE ? "large" : "small";
    this.#pitchPx = PITCH_PX[size];
    this.#rows = new CellRows(size === "large");
    const shut = button("hbj-close", "×", on.close, signal);
    shut.setAttribute("aria-label", `Close ${label}`);
    const title = element("span", "hbj-sheet-title", {}, label);
    const count = element("span", "hbj-muted", {}, plural(jobs.length, "job"));
    const head = element("div", "hbj-sheet-head", {}, title, count, this.#caption, shut);
    const attributes = { role: "group", "aria-label": `Jobs of ${label}`, "data-size": size };
    this.#viewport = element("div", "hbj-cells", attributes, this.#rows.element);
    this.element = element("section", "hbj-sheet hbj-grid", { "aria-label": label }, head, this.#viewport);
    this.#listen(on, signal);
  }

  /** Marks the cell whose details are shown; null for none. */
  mark(job: number | null): void {
    this.#marked = job;
    this.update(this.#run);
  }

  /** Shows the run's states in the rows in sight. */
  update(run: Run): void {
    this.#run = run;
    const pitchPx = this.#pitchPx;
    const jobs = this.#jobs;
    const current = this.#current;
    const marked = this.#marked;
    const columns = this.#columns();
    const nRows = Math.ceil(jobs.length / columns);
    const heightPx = Math.min(MAX_HEIGHT_PX, nRows * pitchPx);
    this.#rows.element.style.height = `${nRows * pitchPx}px`;
    this.#viewport.style.height = `${heightPx}px`;
    const first = Math.max(0, Math.floor(this.#viewport.scrollTop / pitchPx) - SPARE_ROWS);
    const end = Math.min(nRows, first + Math.ceil(heightPx / pitchPx) + 2 * SPARE_ROWS);
    this.#rows.paint(first, end, columns, pitchPx, { run, jobs, current, marked });
  }

  #columns(): number {
    return Math.max(1, Math.floor((this.#viewport.clientWidth || DEFAULT_WIDTH_PX) / this.#pitchPx));
  }

  #focus(index: number): void {
    this.#current = index;
    const top = Math.floor(index / this.#columns()) * this.#pitchPx;
    const least = top + this.#pitchPx - this.#viewport.clientHeight;
    this.#viewport.scrollTop = Math.max(least, Math.min(top, this.#viewport.scrollTop));
    this.update(this.#run);
    this.#rows.focus(index);
  }

  #listen(on: GridEvents, signal: AbortSignal): void {
    const viewport = this.#viewport;
    const name = (event: Event): void => this.#showName(indexOf(event));
    const click = (event: Event): void => {
      const index = indexOf(event);
      if (index === null) return;
      this.#current = index;
      this.update(this.#run);
      on.choose(this.#jobs[index] ?? 0);
    };
    viewport.addEventListener("scroll", () => this.update(this.#run), { signal, passive: true });
    viewport.addEventListener("pointerover", name, { signal });
    viewport.addEventListener("focusin", name, { signal });
    viewport.addEventListener("pointerleave", () => setText(this.#caption, ""), { signal });
    viewport.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    viewport.addEventListener("click", click, { signal });
    const resized = new ResizeObserver(() => this.update(this.#run));
    resized.observe(viewport);
    signal.addEventListener("abort", () => resized.disconnect(), { once: true });
  }

  #onKey(event: KeyboardEvent): void {
    if (!isKey(event.key) || isHeld(event)) return;
    event.preventDefault();
    const next = this.#current + this.#step(event.key);
    if (next >= 0 && next < this.#jobs.length) this.#focus(next);
  }

  #step(key: Key): number {
    const last = this.#jobs.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns(), ArrowDown: this.#columns() };
    if (key === "Home") return -this.#current;
    return key === "End" ? last - this.#current : steps[key];
  }

  #showName(index: number | null): void {
    const job = index === null ? undefined : this.#jobs[index];
    if (job === undefined) return;
    setText(this.#caption, `${this.#run.name(job)} · ${WORDS[this.#run.stateOf(job)]}`);
  }
}

function indexOf(event: Event): number | null {
  const cell = event.target instanceof Element ? event.target.closest<HTMLElement>(".hbj-cell") : null;
  return cell ? Number(cell.dataset.index) : null;
}
