/** One bar for the whole run, its counts in words, and the same for screen readers now and then. */

import { bar, element, setAttribute, setBar, setText } from "../dom";
import { countParts, countSentence, doneCount } from "../format";
import type { Run } from "../runs";
import { segmentCounts } from "../states";

/** Screen readers hear of progress at most this often, in ms. */
const SPEAK_MS = 10_000;

export class Progress {
  readonly element: HTMLElement;
  readonly #bar = bar("hbj-progress");
  readonly #counts = element("div", "hbj-counts");
  readonly #spoken = element("div", "hbj-spoken", { "aria-live": "polite" });
  #spokenMs = Number.NEGATIVE_INFINITY;
  #shown = "";

  constructor() {
    const range = { role: "progressbar", "aria-label": "Jobs done", "aria-valuemin": 0 };
    for (const [name, value] of Object.entries(range)) this.#bar.setAttribute(name, String(value));
    this.element = element("div", "hbj-summary", {}, this.#bar, this.#counts, this.#spoken);
  }

  update(run: Run): void {
    const sentence = countSentence(run.counts);
    setBar(this.#bar, segmentCounts(run.counts));
    setAttribute(this.#bar, "aria-valuemax", String(run.n));
    setAttribute(this.#bar, "aria-valuenow", String(doneCount(run.counts)));
    setAttribute(this.#bar, "aria-valuetext", sentence);
    this.#show(run, sentence);
    this.#speak(run, sentence);
  }

  #show(run: Run, sentence: string): void {
    if (sentence === this.#shown) return;
    this.#shown = sentence;
    // The space is for screen readers and for copies; the eye sees the gap of the style sheet.
    const parts = countParts(run.counts).flatMap(({ segment, text }) => [
      element("span", "hbj-count", segment ? { "data-segment": segment } : {}, text),
      " ",
    ]);
    this.#counts.replaceChildren(...parts);
  }

  #speak(run: Run, sentence: string): void {
    const now = Date.now();
    if (!run.clock.complete && now - this.#spokenMs < SPEAK_MS) return;
    this.#spokenMs = now;
    setText(this.#spoken, `${run.title}: ${sentence}`);
  }
}
