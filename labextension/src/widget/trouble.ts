/** Why nothing new comes, in the user's words, and the moment up to which the run is known. */

import type { Run } from "../runs";

export class Trouble {
  /** "" when all is well. */
  text = "";
  /** When the kernel was lost; null while it is there. */
  #lostMs: number | null = null;

  /** Now, or when the kernel was lost. */
  knownMs(): number {
    return this.#lostMs ?? Date.now();
  }

  fail(text: string): void {
    this.text = text;
  }

  /** Also says how to see the run again, since runs outlive their kernels. */
  lose(what: string, run: Run | null): void {
    this.#lostMs ??= Date.now();
    const remedy = run
      ? `this is the last known state. %batch_attach ${run.head.id} shows the run again.`
      : "run the cell again.";
    this.text = `${what}; ${remedy}`;
  }

  end(): void {
    this.#lostMs = null;
    this.text = "";
  }
}
