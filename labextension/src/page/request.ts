/** All talk with the batch service, as the browser's session. */

import type { BrowserMessage, Letter } from "../contract";
import type { Fetched } from "../request";

const SILENT = "The service does not answer; is it still running?";

/** The page at this address as it is now, null when it cannot be had. */
export async function fetchPage(address: string): Promise<Document | null> {
  try {
    const response = await fetch(address);
    if (!response.ok || response.redirected) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

/** The mark of a batch as soon as it is not `seen`; null when the service does not answer. */
export async function waitFor(batch: string, seen: string): Promise<string | null> {
  try {
    const response = await fetch(`/api/v1alpha/batches/${batch}/wait?seen=${encodeURIComponent(seen)}`);
    if (!response.ok) return null;
    const { mark } = (await response.json()) as { mark: string };
    return mark;
  } catch {
    return null;
  }
}

/** Bytes of a log, and how many it has. */
export interface LogPart {
  bytes: ArrayBuffer;
  size: number;
}

/** What a log has from this byte on, up to so many; null when it has nothing more. */
export async function fetchLog(address: string, from: number, most: number): Promise<LogPart | null> {
  try {
    const response = await fetch(address, { headers: { Range: `bytes=${from}-${from + most - 1}` } });
    if (response.status !== 206) return null;
    const size = Number(response.headers.get("Content-Range")?.split("/")[1]);
    return { bytes: await response.arrayBuffer(), size };
  } catch {
    return null;
  }
}

/** One turn of the widget's conversation about a batch. Never throws. */
export async function converse(
  address: string,
  page: string,
  messages: readonly BrowserMessage[],
): Promise<Fetched<{ messages: Letter[] }>> {
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf() },
      body: JSON.stringify({ page, messages }),
    });
    if (response.ok) return { ok: true, value: (await response.json()) as { messages: Letter[] } };
    return {
      ok: false,
      text: `The service answered with ${response.status}.`,
      gone: response.status === 404,
    };
  } catch {
    return { ok: false, text: SILENT, gone: false };
  }
}

function csrf(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf"]')?.content ?? "";
}
