/** Puts the changed parts of a page in their place, without moving the keyboard's focus. */

import { fetchPage, waitFor } from "./request";

const LIST_MS = 2000;
const SHORTEST_MS = 250;
const TROUBLE_MS = 5000;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Follows a batch by its news, or for "" looks again now and then; ends with the batch. */
export function keepFresh(batch: string): void {
  void (batch ? follow(batch) : lookAgain());
}

async function lookAgain(): Promise<void> {
  for (;;) {
    await pause(LIST_MS);
    if (document.visibilityState === "visible") await refresh();
  }
}

async function follow(batch: string): Promise<void> {
  let seen = "";
  let goesOn = true;
  while (goesOn) {
    const mark = await waitFor(batch, seen);
    if (mark === null) await pause(TROUBLE_MS);
    else {
      seen = mark;
      goesOn = await refresh();
      await pause(SHORTEST_MS);
    }
  }
}

/** Whether the page still changes. */
async function refresh(): Promise<boolean> {
  const fresh = await fetchPage(location.href);
  if (!fresh) return true;
  for (const part of document.querySelectorAll<HTMLElement>("[data-part]")) {
    const now = fresh.getElementById(part.id);
    if (!now || isWritten(part)) continue;
    carry(part, now);
    if (now.innerHTML !== part.innerHTML) exchange(part, now);
  }
  return fresh.body.dataset.live !== undefined;
}

/** Whether somebody writes there now; the part is put in its place afterwards. */
function isWritten(part: HTMLElement): boolean {
  return document.activeElement instanceof HTMLInputElement && part.contains(document.activeElement);
}

/** What somebody has opened or written stays. */
function carry(part: HTMLElement, now: HTMLElement): void {
  for (const old of part.querySelectorAll<HTMLElement>("details[id], input[id]")) {
    const fresh = now.querySelector(`#${CSS.escape(old.id)}`);
    if (old instanceof HTMLDetailsElement && fresh instanceof HTMLDetailsElement) fresh.open = old.open;
    if (old instanceof HTMLInputElement && fresh instanceof HTMLInputElement) fresh.value = old.value;
  }
}

function exchange(part: HTMLElement, now: HTMLElement): void {
  const before = stateOf(part);
  const focused = part.contains(document.activeElement) ? document.activeElement?.id : "";
  part.replaceChildren(...now.childNodes);
  if (focused) document.getElementById(focused)?.focus();
  const after = stateOf(part);
  const said = document.getElementById("said");
  if (said && part.id === "facts" && after !== before) said.textContent = `Now: ${after}`;
}

function stateOf(part: HTMLElement): string {
  return part.querySelector(".state")?.textContent?.trim() ?? "";
}
