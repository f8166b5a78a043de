/** One run in the panel's list. */

import type { RunRow } from "../contract";
import { bar, element, glyph, setAttribute, setBar, setGlyph, setHidden, setText } from "../dom";
import { segmentCounts } from "../states";
import { chipOfRow, doneOf, factsOf, notebookName, titleOf } from "./rows";

export class RowView {
  row: RunRow;
  readonly element: HTMLElement;
  readonly open: HTMLButtonElement;
  readonly #sign = glyph("pending");
  readonly #title = element("span", "hbj-row-title");
  readonly #word = element("span", "hbj-row-word");
  readonly #bar = bar("hbj-row-bar");
  readonly #facts = element("span", "hbj-row-facts");
  readonly #notebook = element("span", "hbj-row-notebook");

  constructor(row: RunRow) {
    this.row = row;
    const head = element("span", "hbj-row-head", {}, this.#sign, this.#title, this.#word);
    this.#bar.setAttribute("aria-hidden", "true");
    this.open = element(
      "button",
      "hbj-row-open",
      { type: "button", tabindex: -1 },
      head,
      this.#bar,
      this.#facts,
      this.#notebook,
    );
    this.element = element("li", "hbj-row", { "data-run": row.run_id }, this.open);
  }

  update(row: RunRow, nowMs: number): void {
    this.row = row;
    const { state, glyph: shape, word } = chipOfRow(row);
    setAttribute(this.element, "data-state", state);
    setAttribute(this.element, "data-complete", String(row.complete));
    setGlyph(this.#sign, shape);
    setText(this.#title, titleOf(row));
    setText(this.#word, word);
    setAttribute(this.open, "title", `${row.run_id}\n${row.notebook}`.trim());
    this.#updateBar(row);
    setText(this.#facts, factsOf(row, nowMs));
    setText(this.#notebook, notebookName(row));
    setHidden(this.#notebook, !row.notebook);
  }

  #updateBar(row: RunRow): void {
    setHidden(this.#bar, doneOf(row) === null || row.n_jobs === 0);
    if (row.counts) setBar(this.#bar, segmentCounts(Uint32Array.from(row.counts)));
  }
}
