/** A job's log: opened at its end, followed while it grows, read on upwards, searched; never loaded whole. */

import type { LogAnswer, LogName, Reply } from "../contract";
import { button, element, setAttribute, setHidden, setText } from "../dom";
import { formatBytes, plainLog } from "../format";
import { paint } from "./ansi";
import { Finder } from "./finder";
import type { Host } from "./host";
import { around, LogText, type Piece } from "./logtext";

/** Read at once. */
export const PART_BYTES = 64_000;

/** Between two looks at a log that may grow, in ms. */
export const TAIL_MS = 1000;

/** So near an end of what is loaded the next part is read. */
const NEAR_PX = 120;

interface Shown {
  piece: Piece;
  hit: number | null;
  element: HTMLElement;
}

export class LogView {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #job: number;
  readonly #signal: AbortSignal;
  readonly #text = new LogText();
  readonly #pre = element("pre", "hbj-log hbj-log-view", { role: "group", tabindex: 0 });
  readonly #said = element("span", "hbj-muted");
  readonly #choice = element("select", "hbj-input", { "aria-label": "Which log" });
  readonly #wrap: HTMLButtonElement;
  readonly #finder: Finder;
  #shown: Shown[] = [];
  #name: LogName;
  #named = "";
  #live = false;
  /** The job has ended since the log was read. */
  #due = false;
  #follows = true;
  #hit: { at: number; length: number } | null = null;
  #forget: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: Host, job: number, title: string, signal: AbortSignal) {
    this.#host = host;
    this.#job = job;
    this.#signal = signal;
    this.#name = { job };
    this.#pre.setAttribute("aria-label", `Log of ${title}`);
    this.#finder = new Finder(
      host,
      this.#text,
      () => this.#name,
      (hit) => this.#goTo(hit),
      signal,
    );
    this.#wrap = button("", "Wrap", () => this.#toggleWrap(), signal);
    this.#wrap.setAttribute("aria-pressed", "true");
    const copy = button("", "Copy", () => void this.#copy(copy), signal);
    copy.title = "Copy what is loaded";
    const tools = element(
      "div",
      "hbj-log-tools",
      {},
      this.#choice,
      this.#finder.element,
      this.#wrap,
      copy,
      this.#said,
    );
    const heading = element("div", "hbj-block-title", {}, "log");
    this.element = element("div", "hbj-block", {}, heading, tools, this.#pre);
    this.#listen(signal);
  }

  /** The logs that there are, and whether they may grow; keeps what is shown. */
  update(logs: readonly [attempt: number, containers: string[]][], live: boolean): void {
    const names = logs.flatMap(([attempt, containers]) => containers.map((name) => `${attempt} ${name}`));
    const options = names.length > 0 ? names : ["1 main"];
    if (options.join() !== [...this.#choice.options].map(({ value }) => value).join()) {
      const last = options.filter((name) => name.endsWith(" main")).at(-1) ?? options.at(-1) ?? "";
      const kept = options.includes(this.#choice.value) && !this.#follows ? this.#choice.value : last;
      const attempts = new Set(options.map((name) => name.split(" ")[0])).size > 1;
      this.#choice.replaceChildren(...options.map((name) => option(name, attempts)));
      this.#choice.value = kept;
      setHidden(this.#choice, options.length < 2);
    }
    this.#due ||= this.#live && !live;
    this.#live = live;
    this.#choose();
    this.#tail();
  }

  /** Shows the log of an attempt. */
  showAttempt(attempt: number): void {
    const mine = [...this.#choice.options].filter(({ value }) => value.startsWith(`${attempt} `));
    const chosen = mine.find(({ value }) => value.endsWith(" main")) ?? mine[0];
    if (!chosen) return;
    this.#choice.value = chosen.value;
    this.#choose();
    this.#pre.focus();
  }

  #choose(): void {
    if (this.#named === this.#choice.value) return;
    this.#named = this.#choice.value;
    const [attempt = "1", container = "main"] = this.#named.split(" ");
    this.#name = { job: this.#job, attempt: Number(attempt), container };
    this.#follows = true;
    this.#hit = null;
    this.#text.clear();
    this.#stop();
    this.#say("Reading…");
    this.#read(-PART_BYTES, PART_BYTES);
  }

  #read(start: number, length: number): void {
    if (this.#forget || this.#signal.aborted) return;
    this.#forget = this.#host.ask({ kind: "log", ...this.#name, start, length }, (reply, bytes) => {
      this.#forget = null;
      this.#take(reply, bytes);
    });
  }

  #take(reply: Reply, bytes: Uint8Array): void {
    if (reply.kind !== "log") {
      this.#say(reply.kind === "answer" ? reply.text : "The log cannot be read");
      return;
    }
    const from = this.#pre.scrollHeight - this.#pre.scrollTop;
    const earlier = reply.start < this.#text.start && this.#text.loaded > 0;
    this.#text.size = reply.size;
    this.#text.take(reply.start, bytes);
    this.#paint();
    if (earlier) this.#pre.scrollTop = this.#pre.scrollHeight - from;
    else if (this.#follows) this.#pre.scrollTop = this.#pre.scrollHeight;
    this.#tellSize(reply);
    this.#tail();
  }

  /** Looks for more while the log may grow, at once where more is known to be there. */
  #tail(): void {
    clearTimeout(this.#timer);
    const more = this.#text.end < this.#text.size;
    if (!this.#follows || this.#forget || !(this.#live || more || this.#due)) return;
    const now = more || this.#due;
    this.#due = false;
    const look = (): void => this.#read(this.#text.end, PART_BYTES);
    this.#timer = setTimeout(look, now ? 0 : TAIL_MS);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#forget?.();
    this.#forget = null;
  }

  /** Makes elements for pieces that are new, or whose marked place has changed; the others stay. */
  #paint(): void {
    const known = new Map(this.#shown.map((one) => [one.piece, one]));
    this.#shown = this.#text.pieces.map((piece) => {
      const inside =
        this.#hit && this.#hit.at >= piece.start && this.#hit.at < piece.start + piece.bytes.length;
      const hit = inside && this.#hit ? this.#hit.at : null;
      const before = known.get(piece);
      return before?.hit === hit ? before : { piece, hit, element: this.#draw(piece, hit) };
    });
    const wanted = this.#shown.map((one) => one.element);
    for (const child of [...this.#pre.children]) if (!wanted.includes(child as HTMLElement)) child.remove();
    wanted.forEach((child, index) => {
      const here = this.#pre.children[index] ?? null;
      if (here !== child) this.#pre.insertBefore(child, here);
    });
  }

  #draw(piece: Piece, hit: number | null): HTMLElement {
    if (hit === null || !this.#hit) return element("span", "", {}, ...paint(decode(piece.bytes)));
    const [before, line, after] = around(piece, hit);
    const skip = plainLog(decode(line.subarray(0, hit - piece.start - before.length))).length;
    const plain = plainLog(decode(line));
    const end = skip + this.#hit.length;
    const mark = element("mark", "hbj-hit", {}, plain.slice(skip, end));
    const marked = element("span", "hbj-hit-line", {}, plain.slice(0, skip), mark, plain.slice(end));
    return element("span", "", {}, ...paint(decode(before)), marked, ...paint(decode(after)));
  }

  /** Shows a place that was found, and reads what is around it when that is not loaded; null takes the mark away. */
  #goTo(hit: { at: number; length: number } | null): void {
    this.#hit = hit;
    if (!hit) {
      this.#paint();
      return;
    }
    this.#follows = false;
    if (hit.at >= this.#text.start && hit.at < this.#text.end) {
      this.#paint();
      const mark = this.#pre.querySelector<HTMLElement>(".hbj-hit");
      if (mark) this.#pre.scrollTop = mark.offsetTop - this.#pre.offsetTop - this.#pre.clientHeight / 2;
      return;
    }
    this.#stop();
    const start = Math.max(0, hit.at - PART_BYTES / 2);
    this.#forget = this.#host.ask(
      { kind: "log", ...this.#name, start, length: PART_BYTES },
      (reply, bytes) => {
        this.#forget = null;
        this.#text.clear();
        this.#take(reply, bytes);
        if (this.#text.loaded > 0) this.#goTo(hit);
      },
    );
  }

  #tellSize({ size }: LogAnswer): void {
    const whole = this.#text.loaded >= size;
    const shown = `${formatBytes(this.#text.loaded)} of ${formatBytes(size)} loaded`;
    this.#say(
      size === 0
        ? this.#live
          ? "Nothing printed yet"
          : "The log is empty"
        : whole
          ? formatBytes(size)
          : shown,
    );
    setHidden(this.#pre, size === 0);
  }

  #say(text: string): void {
    setText(this.#said, text);
  }

  #toggleWrap(): void {
    const wraps = this.#wrap.getAttribute("aria-pressed") !== "true";
    setAttribute(this.#wrap, "aria-pressed", String(wraps));
    this.#pre.classList.toggle("hbj-no-wrap", !wraps);
  }

  async #copy(made: HTMLButtonElement): Promise<void> {
    const text = this.#text.pieces.map(({ bytes }) => plainLog(decode(bytes))).join("");
    const copied = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    setText(made, copied ? "Copied" : "Not allowed here");
    setTimeout(() => setText(made, "Copy"), 2 * TAIL_MS);
  }

  #listen(signal: AbortSignal): void {
    this.#choice.addEventListener("change", () => this.#choose(), { signal });
    this.#pre.addEventListener("scroll", () => this.#onScroll(), { signal, passive: true });
    this.#pre.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  #onScroll(): void {
    const pre = this.#pre;
    const text = this.#text;
    if (pre.hidden || pre.clientHeight === 0) return;
    const below = pre.scrollHeight - pre.scrollTop - pre.clientHeight;
    this.#follows = below < 4 && text.end >= text.size;
    if (pre.scrollTop < NEAR_PX && text.start > 0) {
      const start = Math.max(0, text.start - PART_BYTES);
      this.#read(start, text.start - start);
    } else if (below < NEAR_PX && text.end < text.size) this.#read(text.end, PART_BYTES);
    else if (this.#follows && this.#live) this.#tail();
  }

  /** Home and End lead to the ends of the whole log. */
  #onKey(event: KeyboardEvent): void {
    if ((event.key !== "Home" && event.key !== "End") || event.ctrlKey || event.metaKey || event.altKey)
      return;
    event.preventDefault();
    const home = event.key === "Home";
    this.#hit = null;
    if (home ? this.#text.start === 0 : this.#text.end >= this.#text.size) {
      this.#pre.scrollTop = home ? 0 : this.#pre.scrollHeight;
      return;
    }
    this.#stop();
    this.#text.clear();
    this.#follows = !home;
    this.#read(home ? 0 : -PART_BYTES, PART_BYTES);
    if (home) this.#pre.scrollTop = 0;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** "attempt 2 · main", or only the container where there is one attempt. */
function option(value: string, attempts: boolean): HTMLElement {
  const [attempt, container] = value.split(" ");
  const words = container === "main" ? "the job" : `copying of ${container}s`;
  return element("option", "", { value }, attempts ? `attempt ${attempt}: ${words}` : words);
}
