/** All talk with the Jupyter server: paths, authentication, and what its answers say. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";

/** Where the server extension answers, below the server's base URL. */
const ROOT = "hail-batch-jupyter";

export interface ServerAnswer {
  ok: boolean;
  text: string;
}

/** Asks the server to cancel a run. Never throws: what went wrong is in `text`. */
export async function cancelRun(run: string, settings: ServerConnection.ISettings): Promise<ServerAnswer> {
  const url = URLExt.join(settings.baseUrl, ROOT, "runs", encodeURIComponent(run), "cancel");
  try {
    const response = await ServerConnection.makeRequest(url, { method: "POST", body: "{}" }, settings);
    return readAnswer(response.status, await response.text());
  } catch {
    return { ok: false, text: "The Jupyter server does not answer; is it still running?" };
  }
}

/** The server's own words when it has any (`text`, else `message`), else what its status means. */
export function readAnswer(status: number, body: string): ServerAnswer {
  const ok = status >= 200 && status < 300;
  const said = words(body);
  if (said) return { ok, text: said };
  if (ok) return { ok, text: "Cancelling" };
  if (status === 404)
    return { ok, text: "The Jupyter server knows no such run, or its part of this extension is off." };
  return { ok, text: `The Jupyter server refused to cancel (status ${status}).` };
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
