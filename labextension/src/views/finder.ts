/** Looks for a text in a log: in what is loaded at once, in the rest through the kernel or the server, a part at a time. */

import type { FindAnswer, LogName } from "../contract";
import { button, element, setText } from "../dom";
import type { Host } from "./host";
import type { LogText } from "./logtext";

/** A place that was found: its first byte, and the number of letters. */
export interface Hit {
  at: number;
  length: number;
}

export class Finder {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #text: LogText;
  readonly #name: () => LogName;
  readonly #found: (hit: Hit | null) => void;
  readonly #input = element("input", "hbj-input", {
    type: "search",
    placeholder: "Find in the log",
    "aria-label": "Find in the log",
  });
  readonly #said = element("span", "hbj-muted", { role: "status" });
  #last: { text: string; at: number } | null = null;
  #forget: (() => void) | null = null;

  /** `found` shows a place, null takes the mark of the last one away. */
  constructor(
    host: Host,
    text: LogText,
    name: () => LogName,
    found: (hit: Hit | null) => void,
    signal: AbortSignal,
  ) {
    this.#host = host;
    this.#text = text;
    this.#name = name;
    this.#found = found;
    const previous = button("hbj-find", "↑", () => this.#find(true), signal);
    const next = button("hbj-find", "↓", () => this.#find(false), signal);
    previous.setAttribute("aria-label", "Previous place");
    next.setAttribute("aria-label", "Next place");
    this.element = element("span", "hbj-finder", {}, this.#input, previous, next, this.#said);
    this.#input.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.#input.addEventListener("input", () => this.#clear(), { signal });
    signal.addEventListener("abort", () => this.#forget?.(), { once: true });
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    // Errors stand at the end: the first search goes up from there.
    this.#find(!event.shiftKey);
  }

  #clear(): void {
    this.#forget?.();
    this.#forget = null;
    this.#last = null;
    setText(this.#said, "");
    this.#found(null);
  }

  /** Looks on from the last place, else from the end upwards or from the beginning downwards. */
  #find(back: boolean): void {
    const text = this.#input.value;
    if (!text || this.#forget) return;
    const again = this.#last?.text === text ? this.#last.at : null;
    const from = again === null ? (back ? this.#text.size : 0) : back ? again : again + 1;
    const inside = from >= this.#text.start && from <= this.#text.end;
    const at = inside ? this.#text.find(text, from, back) : null;
    if (at !== null) this.#take(text, at, "");
    else this.#ask(text, inside ? (back ? this.#text.start : this.#text.end) : from, back, false);
  }

  #ask(text: string, start: number, back: boolean, wrapped: boolean): void {
    const overlap = back ? 0 : Math.min(start, 4 * text.length);
    const question = { kind: "find" as const, ...this.#name(), text, start: start - overlap, back };
    this.#forget = this.#host.ask(question, (reply) => {
      this.#forget = null;
      if (reply.kind === "find") this.#heard(reply, text, back, wrapped);
      else setText(this.#said, reply.kind === "answer" ? reply.text : "The log cannot be searched");
    });
  }

  #heard({ at, until, size }: FindAnswer, text: string, back: boolean, wrapped: boolean): void {
    if (at !== null) {
      this.#take(text, at, wrapped ? `from the ${back ? "end" : "beginning"} on` : "");
      return;
    }
    const left = back ? until : size - until;
    if (left > 0) {
      setText(this.#said, `searching, ${Math.round(100 * (1 - left / size))} %`);
      this.#ask(text, until, back, wrapped);
    } else if (!wrapped && this.#last) this.#ask(text, back ? size : 0, back, true);
    else setText(this.#said, "not found");
  }

  #take(text: string, at: number, words: string): void {
    this.#last = { text, at };
    setText(this.#said, words);
    this.#found({ at, length: text.length });
  }
}
