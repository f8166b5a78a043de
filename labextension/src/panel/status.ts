/** The status bar's word about batches: how many run, and how many have failed since somebody looked. */

import { Widget } from "@lumino/widgets";
import type { RunRow } from "../contract";
import { element, glyph, setHidden, setText } from "../dom";
import type { Listing } from "./runs";

export class RunsStatus extends Widget {
  readonly #stop = new AbortController();
  readonly #runs: Listing;
  readonly #isSeen: () => boolean;
  readonly #failed = new Set<string>();
  readonly #running = part("running");
  readonly #broken = part("failed");
  readonly #button = element("button", "hbj-status", { type: "button" });

  /** `isSeen` tells whether the list of batches is looked at now, `show` opens it. */
  constructor(runs: Listing, isSeen: () => boolean, show: () => void) {
    super();
    this.addClass("hbj-root");
    this.addClass("hbj-status-item");
    this.#runs = runs;
    this.#isSeen = isSeen;
    this.#button.append(this.#running.element, this.#broken.element);
    this.#button.addEventListener("click", show, { signal: this.#stop.signal });
    this.node.append(this.#button);
    const unsubscribe = runs.subscribe((ended) => this.#take(ended));
    this.#stop.signal.addEventListener("abort", unsubscribe, { once: true });
    this.#draw();
  }

  override dispose(): void {
    this.#stop.abort();
    super.dispose();
  }

  #take(ended: readonly RunRow[]): void {
    for (const row of ended) if (row.state === "failure" || row.lost) this.#failed.add(row.run_id);
    const known = new Set(this.#runs.rows?.map((row) => row.run_id));
    for (const id of this.#failed) if (!known.has(id)) this.#failed.delete(id);
    if (this.#isSeen()) this.#failed.clear();
    this.#draw();
  }

  #draw(): void {
    const nRunning = this.#runs.running.length;
    const nFailed = this.#failed.size;
    this.#running.show(nRunning);
    this.#broken.show(nFailed);
    const batches = nRunning === 1 ? "1 batch" : `${nRunning} batches`;
    const words = `${batches} running, ${nFailed} failed since you looked`;
    this.#button.setAttribute("aria-label", `${words}; show the batches`);
    this.#button.title = words;
    setHidden(this.#button, nRunning + nFailed === 0);
  }
}

function part(state: "running" | "failed"): { element: HTMLElement; show(count: number): void } {
  const count = element("span");
  const made = element("span", "hbj-status-part", { "data-state": state }, glyph(state), count);
  return {
    element: made,
    show: (value) => {
      setText(count, `${value} ${state}`);
      setHidden(made, value === 0);
    },
  };
}
