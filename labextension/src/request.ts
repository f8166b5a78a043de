/** All talk with the Jupyter server: paths, authentication, and what its answers say. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import type {
  BridgeRequest,
  BrowserMessage,
  DefaultSettings,
  Letter,
  Reply,
  RunList,
  ServicePage,
} from "./contract";

/** Where the server extension answers, below the server's base URL. */
const ROOT = "hail-batch-jupyter";

type Settings = ServerConnection.ISettings;

/** `run` is the new run of a retry. */
export interface ServerAnswer {
  ok: boolean;
  text: string;
  run?: string;
}

/** What the server was asked for, or in words why it is not there; `gone` when asking again is of no use. */
export type Fetched<T> = { ok: true; value: T } | { ok: false; text: string; gone: boolean };

const OFF = "The Jupyter server's part of this extension is off: restart the server after an installation.";
const SILENT = "The Jupyter server does not answer; is it still running?";

/** The part of a run that a deed is about; all of it where nothing is said. */
export interface Part {
  job_ids?: number[] | undefined;
  group?: string | undefined;
}

/** Asks the server to cancel a run, or a part of it. Never throws: what went wrong is in `text`. */
export function cancelRun(run: string, settings: Settings, part: Part = {}): Promise<ServerAnswer> {
  return tell("POST", [...placeOf(run), "cancel"], settings, { done: "Cancelling", what: "cancel" }, part);
}

/** Asks the server to retry what failed or was cancelled in a run, or only these jobs. Never throws. */
export function retryRun(run: string, settings: Settings, job_ids?: number[]): Promise<ServerAnswer> {
  return tell("POST", [...placeOf(run), "retry"], settings, { done: "Retrying", what: "retry" }, { job_ids });
}

/** Asks the server what is else asked of the kernel. Never throws. */
export async function askRun(
  run: string,
  question: BridgeRequest["question"],
  settings: Settings,
): Promise<ServerAnswer & { content?: Reply; bytes?: Uint8Array }> {
  const body = JSON.stringify(question);
  const found = await fetchJson<{ content: Reply; buffer: string | null }>(
    [...placeOf(run), "ask"],
    { method: "POST", body },
    settings,
  );
  if (!found.ok) return found;
  const { content, buffer } = found.value;
  return { ok: true, text: "", content, bytes: buffer === null ? new Uint8Array() : bytesOf(buffer) };
}

/** The bytes of base64. */
export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Asks the server to delete a run that has ended. Never throws. */
export function deleteRun(run: string, settings: Settings): Promise<ServerAnswer> {
  return tell("DELETE", placeOf(run), settings, { done: "Deleted", what: "delete" });
}

/** All runs of this user. Never throws. */
export async function listRuns(settings: Settings): Promise<Fetched<RunList>> {
  const found = await fetchJson<RunList>(["runs"], { method: "GET" }, settings);
  return !found.ok && found.gone ? { ...found, text: OFF } : found;
}

/** The newest of this user's batches on the batch service, or those before a number. Never throws. */
export function listBatches(before: number | null, settings: Settings): Promise<Fetched<ServicePage>> {
  const query = before === null ? "" : `?before=${before}`;
  return fetchJson<ServicePage>(["batches"], { method: "GET" }, settings, query);
}

/** One turn of the widget's conversation about a run. Never throws. */
export function converse(
  run: string,
  page: string,
  messages: readonly BrowserMessage[],
  settings: Settings,
): Promise<Fetched<{ messages: Letter[] }>> {
  const body = JSON.stringify({ page, messages });
  return fetchJson<{ messages: Letter[] }>([...placeOf(run), "feed"], { method: "POST", body }, settings);
}

/** What batches are made with where nothing else is said. Never throws. */
export function readDefaults(settings: Settings): Promise<Fetched<DefaultSettings>> {
  return fetchJson<DefaultSettings>(["settings"], { method: "GET" }, settings);
}

/** Changes some of these; "" takes one out of the file. Never throws: why a value cannot be is in `text`. */
export function changeDefaults(
  wanted: Readonly<Record<string, string>>,
  settings: Settings,
): Promise<Fetched<DefaultSettings>> {
  return fetchJson<DefaultSettings>(["settings"], { method: "POST", body: JSON.stringify(wanted) }, settings);
}

/** Makes a starter notebook in a folder of the server. Never throws. */
export function makeStarter(folder: string, settings: Settings): Promise<Fetched<{ path: string }>> {
  return fetchJson<{ path: string }>(
    ["starter"],
    { method: "POST", body: JSON.stringify({ folder }) },
    settings,
  );
}

async function tell(
  method: "POST" | "DELETE",
  path: readonly string[],
  settings: Settings,
  words: { done: string; what: string },
  part: Part = {},
): Promise<ServerAnswer> {
  try {
    const body = method === "POST" ? { body: JSON.stringify(part) } : {};
    const response = await request(path, { method, ...body }, settings);
    return readAnswer(response.status, await response.text(), words);
  } catch {
    return { ok: false, text: SILENT };
  }
}

async function fetchJson<T>(
  path: readonly string[],
  init: RequestInit,
  settings: Settings,
  query = "",
): Promise<Fetched<T>> {
  try {
    const response = await request(path, init, settings, query);
    const body = await response.text();
    if (response.ok) return { ok: true, value: JSON.parse(body) as T };
    const { text } = readAnswer(response.status, body, { done: "", what: "answer" });
    return { ok: false, text, gone: response.status === 404 || response.status === 409 };
  } catch {
    return { ok: false, text: SILENT, gone: false };
  }
}

function request(
  path: readonly string[],
  init: RequestInit,
  settings: Settings,
  query = "",
): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, ROOT, ...path.map(encodeURIComponent));
  return ServerConnection.makeRequest(url + query, init, settings);
}

/** Where the server answers about a run of this machine, or a batch of the service. */
function placeOf(run: string): string[] {
  return [/^[0-9]+$/.test(run) ? "batches" : "runs", run];
}

/** The server's own words when it has any (`text`, else `message`), else what its status means. */
export function readAnswer(
  status: number,
  body: string,
  { done, what } = { done: "Cancelling", what: "cancel" },
): ServerAnswer {
  const ok = status >= 200 && status < 300;
  const { said, run } = words(body);
  if (said) return run ? { ok, text: said, run } : { ok, text: said };
  if (ok) return { ok, text: done };
  if (status === 404)
    return { ok, text: "The Jupyter server knows no such run, or its part of this extension is off." };
  return { ok, text: `The Jupyter server refused to ${what} (status ${status}).` };
}

function words(body: string): { said: string; run?: string } {
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json !== "object" || json === null) return { said: "" };
    const run = "run" in json && typeof json.run === "string" ? { run: json.run } : {};
    if ("text" in json && typeof json.text === "string") return { said: json.text, ...run };
    return { said: "message" in json && typeof json.message === "string" ? json.message : "" };
  } catch {
    return { said: "" };
  }
}
