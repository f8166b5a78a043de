/** Cancels a run: through JupyterLab's extension, which needs no kernel, else through the comm. */

import { after, askAside } from "./aside";

/** How long JupyterLab's extension has to answer before the comm is used as well, in ms. */
export const BRIDGE_MS = 300;

/** How long the comm has then, before the user is told that the kernel is busy, in ms. */
export const COMM_MS = 1500;

export const BUSY = "The kernel is busy; this will be done when the running cell ends";

export interface CancelReport {
  text: string;
  /** Asked for, and not refused. */
  pending: boolean;
}

export class Cancel {
  readonly #tell: (report: CancelReport) => void;
  #asked: { request: number; stop: AbortController } | null = null;

  constructor(tell: (report: CancelReport) => void) {
    this.#tell = tell;
  }

  /** Asks; `sendComm` sends the same over the comm. A second call while one is under way does nothing. */
  start(run: string, request: number, sendComm: () => void): void {
    if (this.#asked) return;
    const stop = new AbortController();
    this.#asked = { request, stop };
    this.#tell({ text: "", pending: true });
    // The server may not know the run while the kernel does: after a refusal the comm is still tried.
    const hear = ({ ok, text }: { ok: boolean; text: string }): void =>
      ok ? this.#end(text, true) : this.#tell({ text, pending: true });
    askAside({ run, action: "cancel" }, hear, stop.signal);
    after(BRIDGE_MS, stop.signal, () => {
      sendComm();
      after(COMM_MS, stop.signal, () => this.#tell({ text: BUSY, pending: true }));
    });
  }

  /** Called with each answer that came over the comm. */
  answered(request: number, ok: boolean, text: string): void {
    if (request === this.#asked?.request) this.#end(text, ok);
  }

  dispose(): void {
    this.#asked?.stop.abort();
    this.#asked = null;
  }

  /** A good answer stays "pending" for the eye until the run itself says that it is being cancelled. */
  #end(text: string, pending: boolean): void {
    this.dispose();
    this.#tell({ text, pending });
  }
}
