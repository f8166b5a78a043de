/** Carries out what widgets ask for on `window`; every page script can ask, so that everything is checked. */

import { ANSWER_EVENT, type BridgeAnswer, type BridgeRequest, REQUEST_EVENT, VERSION } from "../contract";
import type { ServerAnswer } from "../request";

const RUN_ID = /^[A-Za-z0-9._-]{1,200}$/;
const DOTS_ONLY = /^\.+$/;

/** The request when it is one that may be carried out, else null. */
export function checkRequest(detail: unknown): BridgeRequest | null {
  if (typeof detail !== "object" || detail === null) return null;
  const { version, request, run, action } = detail as Partial<Record<keyof BridgeRequest, unknown>>;
  if (version !== VERSION || action !== "cancel") return null;
  if (typeof request !== "string" || request.length > 100) return null;
  if (typeof run !== "string" || !RUN_ID.test(run) || DOTS_ONLY.test(run)) return null;
  return { version, request, run, action };
}

/** Listens until `signal` is aborted; `cancel` must not throw. */
export function serveBridge(cancel: (run: string) => Promise<ServerAnswer>, signal: AbortSignal): void {
  const onRequest = async (event: Event): Promise<void> => {
    const request = event instanceof CustomEvent ? checkRequest(event.detail) : null;
    if (!request) return;
    const { ok, text } = await cancel(request.run);
    const detail: BridgeAnswer = { version: VERSION, request: request.request, ok, text };
    window.dispatchEvent(new CustomEvent(ANSWER_EVENT, { detail }));
  };
  window.addEventListener(REQUEST_EVENT, (event) => void onRequest(event), { signal });
}
