/** Logs that grow while they are looked at: what is new is asked for by its place, and only so much at once as is shown. */

import { paint } from "../views/ansi";
import { fetchLog } from "./request";

const EVERY_MS = 1000;
/** Bytes of a log that are shown, and that are asked for at once. */
const SHOWN_BYTES = 1 << 18;
/** Without the bell, which may end a sequence that steers a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are no text
const NO_TEXT = /[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]/g;

export function followLogs(): void {
  for (const log of document.querySelectorAll<HTMLElement>("[data-log]")) void follow(log);
}

async function follow(log: HTMLElement): Promise<void> {
  const address = log.dataset.log ?? "";
  let decoder = new TextDecoder();
  let text = "";
  let size = Number(log.dataset.size ?? 0);
  let at = Math.max(0, size - SHOWN_BYTES);
  let begun = false;
  while (document.body.dataset.live !== undefined && log.isConnected) {
    const part = document.visibilityState === "visible" ? await fetchLog(address, at, SHOWN_BYTES) : null;
    if (part && part.size - at > SHOWN_BYTES) {
      // More was written than is shown: go on with its end.
      at = part.size - SHOWN_BYTES;
      text = "";
      decoder = new TextDecoder();
      continue;
    }
    if (part) {
      at += part.bytes.byteLength;
      text = `${text}${decoder.decode(part.bytes, { stream: true })}`.slice(-SHOWN_BYTES);
      if (begun || at > size) show(log, text);
      begun = true;
      size = at;
    }
    await new Promise((done) => setTimeout(done, EVERY_MS));
  }
}

/** Stays at the end if it was there. */
function show(log: HTMLElement, text: string): void {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 4;
  log.replaceChildren(...paint(text.replace(NO_TEXT, "\ufffd")));
  if (atEnd) log.scrollTop = log.scrollHeight;
}
