/** The buttons of a row: what may be done with a run, as far as its state allows. */

import type { RunRow } from "../contract";
import { element, setAttribute, setHidden } from "../dom";
import { isRetriable, notebookName, titleOf } from "./rows";

/** What the buttons do; each asks first where something would be lost. */
export interface Deeds {
  open(row: RunRow): void;
  notebook(row: RunRow): void;
  cancel(row: RunRow): void;
  retry(row: RunRow): void;
  remove(row: RunRow): void;
  copy(row: RunRow): void;
  page(row: RunRow): void;
}

export type DeedName = keyof Deeds;

export type MakeIcon = (name: DeedName) => Node;

const WORDS: readonly [DeedName, (row: RunRow) => string, (row: RunRow) => boolean][] = [
  ["cancel", (row) => `Cancel ${titleOf(row)}`, (row) => !row.complete && !row.cancelling],
  ["retry", (row) => `Retry ${titleOf(row)}`, isRetriable],
  ["notebook", (row) => `Open the notebook ${notebookName(row)}`, (row) => row.notebook_path !== ""],
  ["page", (row) => `Open the page of ${titleOf(row)}`, (row) => row.url !== ""],
  ["copy", (row) => `Copy the run id of ${titleOf(row)}`, () => true],
  ["remove", (row) => `Delete ${titleOf(row)}`, (row) => row.complete],
];

export class RowActions {
  readonly element = element("div", "hbj-row-actions");
  readonly #buttons: { made: HTMLButtonElement; entry: (typeof WORDS)[number] }[];
  #row: RunRow | null = null;

  constructor(deeds: Deeds, icon: MakeIcon, signal: AbortSignal) {
    this.#buttons = WORDS.map((entry) => {
      const made = element("button", "hbj-row-action", { type: "button" }, icon(entry[0]));
      made.addEventListener("click", () => this.#row && deeds[entry[0]](this.#row), { signal });
      return { made, entry };
    });
    this.element.append(...this.#buttons.map(({ made }) => made));
  }

  show(row: RunRow): void {
    this.#row = row;
    for (const { made, entry } of this.#buttons) {
      const [, words, allowed] = entry;
      setAttribute(made, "aria-label", words(row));
      setAttribute(made, "title", words(row));
      setHidden(made, !allowed(row));
    }
  }
}
