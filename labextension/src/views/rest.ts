/** Lets work that takes long be done more rarely while a run goes on, and never leaves the last of it undone. No DOM. */

/** This many times as long as the work took passes before it is done again. */
const FACTOR = 20;

export class Rest {
  readonly #again: () => void;
  readonly #leastMs: number;
  #doneAs: string | null = null;
  #nextMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `again` is called when work that was put off is due; at least `leastMs` passes between two times. */
  constructor(again: () => void, leastMs: number, signal: AbortSignal) {
    this.#again = again;
    this.#leastMs = leastMs;
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** Does the work if `as`, which names what it is made of, is new and it is time. */
  work(as: string, work: () => void): void {
    if (as === this.#doneAs) return;
    const waitMs = this.#nextMs - Date.now();
    clearTimeout(this.#timer);
    if (waitMs > 0 && this.#doneAs !== null) {
      this.#timer = setTimeout(this.#again, waitMs);
      return;
    }
    const begunMs = performance.now();
    work();
    this.#doneAs = as;
    this.#nextMs = Date.now() + Math.max(this.#leastMs, FACTOR * (performance.now() - begunMs));
  }

  /** What was done counts no more: the next work is due at once. */
  forget(): void {
    this.#doneAs = null;
  }
}
