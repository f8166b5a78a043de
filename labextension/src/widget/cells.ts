/** Rows of small buttons, one for each job; rows that leave the sight are used again for those that enter it. */

import { element, glyph, setAttribute, setGlyph } from "../dom";
import type { Run } from "../runs";
import { type StateName, WORDS } from "../states";

export interface CellView {
  run: Run;
  /** The job of each cell. */
  jobs: Uint32Array;
  /** Index of the cell that the tab key leads to. */
  current: number;
  /** The job whose details are shown. */
  marked: number | null;
}

/** States whose sign is drawn in small cells too; the others are told by fill and border. */
const SIGNED: readonly StateName[] = ["failed", "error", "running"];

export class CellRow {
  readonly element = element("div", "hbj-row");
  readonly #cells: HTMLElement[] = [];
  readonly #signs: boolean;
  #row = -1;

  /** `signs`: every state has its sign, as there is room for it. */
  constructor(columns: number, signs: boolean) {
    this.#signs = signs;
    for (let i = 0; i < columns; i++) this.#cells.push(element("button", "hbj-cell", { type: "button" }));
  }

  /** Puts this row in the place of the `row`-th and shows its jobs. */
  paint(row: number, pitchPx: number, view: CellView): void {
    if (row !== this.#row) this.element.style.top = `${row * pitchPx}px`;
    const first = row * this.#cells.length;
    this.#cells.forEach((cell, column) => {
      this.#paintCell(cell, first + column, row !== this.#row, view);
    });
    this.#row = row;
  }

  focus(column: number): void {
    this.#cells[column]?.focus({ preventScroll: true });
  }

  #paintCell(cell: HTMLElement, index: number, moved: boolean, view: CellView): void {
    const job = view.jobs[index];
    if (job === undefined) {
      cell.remove();
      return;
    }
    if (!cell.parentNode) this.element.append(cell);
    const tabIndex = index === view.current ? 0 : -1;
    if (cell.tabIndex !== tabIndex || !cell.hasAttribute("tabindex")) cell.tabIndex = tabIndex;
    if (cell.hasAttribute("aria-current") !== (job === view.marked)) {
      if (job === view.marked) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
    }
    const state = view.run.stateOf(job);
    const changed = cell.dataset.state !== state;
    if (!moved && !changed) return;
    cell.dataset.job = String(job);
    cell.dataset.index = String(index);
    setAttribute(cell, "aria-label", `${view.run.name(job)}, ${WORDS[state]}`);
    if (changed) this.#paintState(cell, state);
  }

  #paintState(cell: HTMLElement, state: StateName): void {
    cell.dataset.state = state;
    const sign = cell.firstElementChild;
    if (!this.#signs && !SIGNED.includes(state)) sign?.remove();
    else if (sign instanceof SVGElement) setGlyph(sign, state);
    else cell.append(glyph(state));
  }
}

/** The rows that exist, by their number. */
export class CellRows {
  readonly element = element("div", "hbj-rows");
  readonly #rows = new Map<number, CellRow>();
  readonly #signs: boolean;
  #columns = 0;

  constructor(signs: boolean) {
    this.#signs = signs;
  }

  /** Shows rows `first` to `end` (exclusive) and no others. */
  paint(first: number, end: number, columns: number, pitchPx: number, view: CellView): void {
    if (columns !== this.#columns) this.#clear();
    this.#columns = columns;
    const spare = [...this.#rows].filter(([row]) => row < first || row >= end);
    for (const [row] of spare) this.#rows.delete(row);
    for (let row = first; row < end; row++) {
      const shown = this.#rows.get(row) ?? spare.pop()?.[1] ?? new CellRow(columns, this.#signs);
      this.#rows.set(row, shown);
      if (!shown.element.isConnected) this.element.append(shown.element);
      shown.paint(row, pitchPx, view);
    }
    for (const [, unused] of spare) unused.element.remove();
  }

  focus(index: number): void {
    this.#rows.get(Math.floor(index / this.#columns))?.focus(index % this.#columns);
  }

  #clear(): void {
    this.#rows.clear();
    this.element.replaceChildren();
  }
}
