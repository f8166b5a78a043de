/** Cancels a run: through JupyterLab's extension, which needs no kernel, else through the comm. */

import { ANSWER_EVENT, type BridgeAnswer, type BridgeRequest, REQUEST_EVENT, VERSION } from "../contract";

/** How long JupyterLab's extension has to answer before the comm is used as well, in ms. */
export const BRIDGE_MS = 300;

/** How long the comm has then, before the user is told that the kernel is busy, in ms. */
export const COMM_MS = 1500;

export const BUSY = "The kernel is busy; the cancel will take effect when the running cell ends";

export interface CancelReport {
  text: string;
  /** Asked for, and not refused. */
  pending: boolean;
}

export class Cancel {
  private readonly tell: (report: CancelReport) => void;
  private asked: { bridge: string; comm: string; stop: AbortController } | null = null;

  constructor(tell: (report: CancelReport) => void) {
    this.tell = tell;
  }

  /** Asks; `sendComm` sends the same over the comm. A second call while one is under way does nothing. */
  start(run: string, request: number, sendComm: () => void): void {
    if (this.asked) return;
    const stop = new AbortController();
    const bridge = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    this.asked = { bridge, comm: String(request), stop };
    window.addEventListener(ANSWER_EVENT, this.onBridge, { signal: stop.signal });
    this.tell({ text: "", pending: true });
    const detail: BridgeRequest = { version: VERSION, request: bridge, run, action: "cancel" };
    window.dispatchEvent(new CustomEvent(REQUEST_EVENT, { detail }));
    after(BRIDGE_MS, stop.signal, () => {
      sendComm();
      after(COMM_MS, stop.signal, () => this.tell({ text: BUSY, pending: true }));
    });
  }

  /** Called with each answer, from either side; the first good one counts. */
  answered(request: string, ok: boolean, text: string): void {
    const { asked } = this;
    if (!asked || (request !== asked.bridge && request !== asked.comm)) return;
    if (!ok && request === asked.bridge) {
      // The server may not know the run while the kernel does: the comm is still tried.
      this.tell({ text, pending: true });
      return;
    }
    this.dispose();
    // A good answer stays "pending" for the eye until the run itself says that it is being cancelled.
    this.tell({ text, pending: ok });
  }

  dispose(): void {
    this.asked?.stop.abort();
    this.asked = null;
  }

  private readonly onBridge = (event: Event): void => {
    const answer = event instanceof CustomEvent ? (event.detail as Partial<BridgeAnswer> | null) : null;
    if (answer?.version !== VERSION) return;
    this.answered(String(answer.request), answer.ok === true, String(answer.text ?? ""));
  };
}

function after(delayMs: number, signal: AbortSignal, action: () => void): void {
  if (signal.aborted) return;
  const timer = setTimeout(action, delayMs);
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}
