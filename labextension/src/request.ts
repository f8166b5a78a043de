/** All talk with the Jupyter server: paths, authentication, and what its answers say. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import type { BrowserMessage, Letter, RunList } from "./contract";

/** Where the server extension answers, below the server's base URL. */
const ROOT = "hail-batch-jupyter";

type Settings = ServerConnection.ISettings;

export interface ServerAnswer {
  ok: boolean;
  text: string;
}

/** What the server was asked for, or in words why it is not there; `gone` when there is no such run (any more). */
export type Fetched<T> = { ok: true; value: T } | { ok: false; text: string; gone: boolean };

const OFF = "The Jupyter server's part of this extension is off: restart the server after an installation.";
const SILENT = "The Jupyter server does not answer; is it still running?";

/** Asks the server to cancel a run. Never throws: what went wrong is in `text`. */
export function cancelRun(run: string, settings: Settings): Promise<ServerAnswer> {
  return tell("POST", [run, "cancel"], settings, { done: "Cancelling", what: "cancel" });
}

/** Asks the server to delete a run that has ended. Never throws. */
export function deleteRun(run: string, settings: Settings): Promise<ServerAnswer> {
  return tell("DELETE", [run], settings, { done: "Deleted", what: "delete" });
}

/** All runs of this user. Never throws. */
export async function listRuns(settings: Settings): Promise<Fetched<RunList>> {
  const found = await fetchJson<RunList>([], { method: "GET" }, settings);
  return !found.ok && found.gone ? { ...found, text: OFF } : found;
}

/** One turn of the widget's conversation about a run. Never throws. */
export function converse(
  run: string,
  page: string,
  messages: readonly BrowserMessage[],
  settings: Settings,
): Promise<Fetched<{ messages: Letter[] }>> {
  const body = JSON.stringify({ page, messages });
  return fetchJson<{ messages: Letter[] }>([run, "feed"], { method: "POST", body }, settings);
}

async function tell(
  method: "POST" | "DELETE",
  path: readonly string[],
  settings: Settings,
  words: { done: string; what: string },
): Promise<ServerAnswer> {
  try {
    const response = await request(path, method === "POST" ? { method, body: "{}" } : { method }, settings);
    return readAnswer(response.status, await response.text(), words);
  } catch {
    return { ok: false, text: SILENT };
  }
}

async function fetchJson<T>(
  path: readonly string[],
  init: RequestInit,
  settings: Settings,
): Promise<Fetched<T>> {
  try {
    const response = await request(path, init, settings);
    const body = await response.text();
    if (response.ok) return { ok: true, value: JSON.parse(body) as T };
    const { text } = readAnswer(response.status, body, { done: "", what: "answer" });
    return { ok: false, text, gone: response.status === 404 };
  } catch {
    return { ok: false, text: SILENT, gone: false };
  }
}

function request(path: readonly string[], init: RequestInit, settings: Settings): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, ROOT, "runs", ...path.map(encodeURIComponent));
  return ServerConnection.makeRequest(url, init, settings);
}

/** The server's own words when it has any (`text`, else `message`), else what its status means. */
export function readAnswer(
  status: number,
  body: string,
  { done, what } = { done: "Cancelling", what: "cancel" },
): ServerAnswer {
  const ok = status >= 200 && status < 300;
  const said = words(body);
  if (said) return { ok, text: said };
  if (ok) return { ok, text: done };
  if (status === 404)
    return { ok, text: "The Jupyter server knows no such run, or its part of this extension is off." };
  return { ok, text: `The Jupyter server refused to ${what} (status ${status}).` };
}

function words(body: string): string {
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json !== "object" || json === null) return "";
    if ("text" in json && typeof json.text === "string") return json.text;
    return "message" in json && typeof json.message === "string" ? json.message : "";
  } catch {
    return "";
  }
}
