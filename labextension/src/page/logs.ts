/** Logs that grow while they are looked at: what is new is asked for by its place. */

import { fetchLog } from "./request";

const EVERY_MS = 1000;
const MOST_CHARACTERS = 1_000_000;

export function followLogs(): void {
  for (const log of document.querySelectorAll<HTMLElement>("[data-log]")) void follow(log);
}

async function follow(log: HTMLElement): Promise<void> {
  const decoder = new TextDecoder();
  let at = Number(log.dataset.size ?? 0);
  while (document.body.dataset.live !== undefined && log.isConnected) {
    const bytes = document.visibilityState === "visible" ? await fetchLog(log.dataset.log ?? "", at) : null;
    if (bytes) {
      at += bytes.byteLength;
      append(log, decoder.decode(bytes, { stream: true }));
    }
    await new Promise((done) => setTimeout(done, EVERY_MS));
  }
}

/** Stays at the end if it was there. */
function append(log: HTMLElement, text: string): void {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 4;
  log.textContent = `${log.textContent}${text}`.slice(-MOST_CHARACTERS);
  if (atEnd) log.scrollTop = log.scrollHeight;
}
