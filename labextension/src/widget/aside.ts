/** Asks JupyterLab's extension, which needs no kernel. */

import { ANSWER_EVENT, type BridgeAnswer, type BridgeRequest, REQUEST_EVENT, VERSION } from "../contract";

/** Asks; false, and nothing is heard, where there is no extension. Gives up listening when `signal` is aborted. */
export function askAside(
  asked: Omit<BridgeRequest, "version" | "request">,
  hear: (answer: BridgeAnswer) => void,
  signal: AbortSignal,
): boolean {
  const request = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const stop = new AbortController();
  const onAnswer = (event: Event): void => {
    const answer = event instanceof CustomEvent ? (event.detail as BridgeAnswer | null) : null;
    if (answer?.version !== VERSION || answer.request !== request) return;
    stop.abort();
    hear(answer);
  };
  window.addEventListener(ANSWER_EVENT, onAnswer, { signal: AbortSignal.any([stop.signal, signal]) });
  const detail: BridgeRequest = { version: VERSION, request, ...asked };
  const taken = !window.dispatchEvent(new CustomEvent(REQUEST_EVENT, { detail, cancelable: true }));
  if (!taken) stop.abort();
  return taken;
}

export function after(delayMs: number, signal: AbortSignal, action: () => void): void {
  if (signal.aborted) return;
  const timer = setTimeout(action, delayMs);
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}
