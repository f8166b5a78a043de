/** The rows of the table of jobs that exist: those in sight; rows that leave the sight are used again for those that enter it. */

import { element, glyph, setAttribute, setGlyph, setText } from "../dom";
import { FIELDS, type Source } from "./fields";
import type { RowWindow } from "./rows";

export const ROW_PX = 26;

class Row {
  readonly element = element("div", "hbj-tr", { role: "row", tabindex: -1 });
  readonly #cells = FIELDS.map(({ name }) =>
    element("span", `hbj-td hbj-f-${name}`, { role: name === "name" ? "rowheader" : "gridcell" }),
  );
  readonly #sign = glyph("pending");
  readonly #word = document.createTextNode("");

  constructor() {
    this.element.append(...this.#cells);
    this.#cells[FIELDS.findIndex(({ name }) => name === "state")]?.append(this.#sign, this.#word);
  }

  paint(index: number, job: number, source: Source): void {
    const { dataset, style } = this.element;
    const place = `translateY(${index * ROW_PX}px)`;
    if (style.transform !== place) style.transform = place;
    dataset.index = String(index);
    dataset.job = String(job);
    setAttribute(this.element, "aria-rowindex", String(index + 2));
    const state = source.run.stateOf(job);
    if (dataset.state !== state) dataset.state = state;
    setGlyph(this.#sign, state);
    FIELDS.forEach((field, at) => {
      const cell = this.#cells[at];
      const text = field.text(source, job);
      if (field.name === "state") this.#word.data = text;
      else if (cell) setText(cell, text);
    });
  }
}

export class RowViews {
  readonly element = element("div", "hbj-trs", { role: "rowgroup" });
  readonly #rows = new Map<number, Row>();

  /** Shows these rows and no others; `current` is the one that the tab key leads to, `marked` the job whose details are shown. */
  paint(
    { first, end }: RowWindow,
    jobs: Uint32Array,
    source: Source,
    current: number,
    marked: number | null,
  ): void {
    const spare = [...this.#rows].filter(([index]) => index < first || index >= end);
    for (const [index] of spare) this.#rows.delete(index);
    for (let index = first; index < end; index++) {
      const row = this.#rows.get(index) ?? spare.pop()?.[1] ?? new Row();
      this.#rows.set(index, row);
      if (!row.element.isConnected) this.element.append(row.element);
      row.paint(index, jobs[index] ?? 0, source);
      row.element.toggleAttribute("data-marked", jobs[index] === marked);
      const tabIndex = index === current ? 0 : -1;
      if (row.element.tabIndex !== tabIndex) row.element.tabIndex = tabIndex;
    }
    for (const [, { element: unused }] of spare) unused.remove();
  }

  focus(index: number): void {
    this.#rows.get(index)?.element.focus({ preventScroll: true });
  }
}
