/** Carries out what widgets ask for on `window`; every page script can ask, so that everything is checked. */

import { ANSWER_EVENT, type BridgeAnswer, type BridgeRequest, REQUEST_EVENT, VERSION } from "../contract";

const RUN_ID = /^[A-Za-z0-9._-]{1,200}$/;
const DOTS_ONLY = /^\.+$/;
const ACTIONS: readonly string[] = ["cancel", "retry", "ask", "open"] satisfies BridgeRequest["action"][];

/** What the extension does; none of it may throw. */
export interface Server {
  cancel(asked: BridgeRequest): Promise<Told>;
  retry(asked: BridgeRequest): Promise<Told>;
  ask(asked: BridgeRequest): Promise<Told>;
  open(asked: BridgeRequest): Promise<Told>;
}

export type Told = Omit<BridgeAnswer, "version" | "request">;

/** The request when it is one that may be carried out, else null. */
export function checkRequest(detail: unknown): BridgeRequest | null {
  if (typeof detail !== "object" || detail === null) return null;
  const asked = detail as Partial<Record<keyof BridgeRequest, unknown>>;
  const { version, request, run, action, job_ids, group, question } = asked;
  if (version !== VERSION || !isAction(action)) return null;
  if (typeof request !== "string" || request.length > 100) return null;
  if (typeof run !== "string" || !RUN_ID.test(run) || DOTS_ONLY.test(run)) return null;
  const checked: BridgeRequest = { version, request, run, action };
  if (job_ids !== undefined) {
    if (!Array.isArray(job_ids) || !job_ids.every(Number.isSafeInteger)) return null;
    checked.job_ids = job_ids;
  }
  if (group !== undefined) {
    if (typeof group !== "string") return null;
    checked.group = group;
  }
  if ((action === "ask") !== isQuestion(question)) return null;
  if (isQuestion(question)) checked.question = question;
  return checked;
}

function isAction(action: unknown): action is BridgeRequest["action"] {
  return typeof action === "string" && ACTIONS.includes(action);
}

/** The server checks what is asked; here only that it is a question. */
function isQuestion(question: unknown): question is NonNullable<BridgeRequest["question"]> {
  return typeof question === "object" && question !== null && "kind" in question && "request" in question;
}

/** Listens until `signal` is aborted. That a request is taken is told at once by the event's default being prevented. */
export function serveBridge(server: Server, signal: AbortSignal): void {
  const onRequest = async (event: Event): Promise<void> => {
    const asked = event instanceof CustomEvent ? checkRequest(event.detail) : null;
    if (!asked) return;
    event.preventDefault();
    const told = await server[asked.action](asked);
    const detail: BridgeAnswer = { version: VERSION, request: asked.request, ...told };
    window.dispatchEvent(new CustomEvent(ANSWER_EVENT, { detail }));
  };
  window.addEventListener(REQUEST_EVENT, (event) => void onRequest(event), { signal });
}
