/** The frame of one job's sheet, which is there at once; what is in it comes with the views. */

import { button, element, glyph, setGlyph, setText } from "../dom";
import type { Run } from "../runs";
import { WORDS } from "../states";
import type { Panel } from "../views/host";
import type { Loader } from "./loader";

export class Details {
  readonly element: HTMLElement;
  readonly job: number;
  readonly #loader: Loader;
  readonly #signal: AbortSignal;
  readonly #glyph = glyph("pending");
  readonly #word = element("span", "hbj-muted");
  readonly #body = element("div", "hbj-sheet-body");
  #run: Run | null = null;
  #panel: Panel | null = null;

  constructor(loader: Loader, job: number, name: string, close: () => void, signal: AbortSignal) {
    this.#loader = loader;
    this.job = job;
    this.#signal = signal;
    const shut = button("hbj-close", "×", close, signal);
    shut.setAttribute("aria-label", "Close the details");
    const title = element("span", "hbj-sheet-title", {}, name);
    const head = element("div", "hbj-sheet-head", {}, this.#glyph, title, this.#word, shut);
    const attributes = { "aria-label": `Details of ${name}`, "data-job": job, tabindex: -1 };
    this.element = element("section", "hbj-sheet hbj-details", attributes, head, this.#body);
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  update(run: Run): void {
    const first = this.#run === null;
    this.#run = run;
    const state = run.stateOf(this.job);
    setGlyph(this.#glyph, state);
    setText(this.#word, WORDS[state]);
    this.#panel?.update(run);
    if (first) {
      this.#loader.need(run, {
        ready: (views) => this.#fill(views.job(this.job, this.#signal)),
        say: (text) => setText(this.#body, text),
      });
    }
  }

  #fill(panel: Panel): void {
    if (this.#signal.aborted || !this.#run) return;
    this.#panel = panel;
    this.#body.replaceChildren(panel.element);
    panel.update(this.#run);
  }
}
