/** The sheet of one job: command, files, times, exit code, memory, end of the log. */

import type { JobDetail } from "../contract";
import { button, element, glyph, setGlyph, setText } from "../dom";
import { formatBytes, formatTime, formatTook, plainLog } from "../format";
import type { Run } from "../runs";
import { WORDS } from "../states";
import type { Session } from "./session";

/** After this the user is told why there are no details yet, in ms. */
const SLOW_MS = 1500;

export class Details {
  readonly element: HTMLElement;
  readonly job: number;
  private readonly session: Session;
  private readonly glyph = glyph("pending");
  private readonly word = element("span", "hbj-muted");
  private readonly body = element("div", "hbj-sheet-body");
  private forget: () => void = () => {};
  private slow: ReturnType<typeof setTimeout> | undefined;
  private askedFor = "";

  constructor(session: Session, job: number, name: string, close: () => void, signal: AbortSignal) {
    this.session = session;
    this.job = job;
    const shut = button("hbj-close", "×", close, signal);
    shut.setAttribute("aria-label", "Close the details");
    const title = element("span", "hbj-sheet-title", {}, name);
    const head = element("div", "hbj-sheet-head", {}, this.glyph, title, this.word, shut);
    setText(this.body, "Asking the kernel…");
    const attributes = { "aria-label": `Details of ${name}`, "data-job": job, tabindex: -1 };
    this.element = element("section", "hbj-sheet hbj-details", attributes, head, this.body);
    signal.addEventListener("abort", () => this.stop(), { once: true });
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  /** Asks again whenever the job has another state. */
  update(run: Run): void {
    const state = run.stateOf(this.job);
    setGlyph(this.glyph, state);
    setText(this.word, WORDS[state]);
    if (state === this.askedFor) return;
    this.askedFor = state;
    this.stop();
    this.forget = this.session.ask({ kind: "job", job: this.job }, (reply) => {
      if (reply.kind === "job") this.show(reply.detail);
    });
    this.slow = setTimeout(() => this.explain(), SLOW_MS);
  }

  private stop(): void {
    this.forget();
    clearTimeout(this.slow);
  }

  private explain(): void {
    if (this.body.childElementCount > 0) return;
    setText(this.body, "The kernel is busy; the details come when the running cell ends.");
  }

  private show(detail: JobDetail): void {
    clearTimeout(this.slow);
    this.body.replaceChildren(facts(detail), ...texts(detail), files(detail));
  }
}

function facts(detail: JobDetail): HTMLElement {
  const { started_ms, ended_ms, exit_code, max_rss_bytes } = detail;
  const pairs: [string, string | null][] = [
    ["exit code", exit_code === null ? null : String(exit_code)],
    ["reason", detail.reason || null],
    ["took", started_ms === null || ended_ms === null ? null : formatTook(ended_ms - started_ms)],
    ["started", started_ms === null ? null : formatTime(started_ms)],
    ["ended", ended_ms === null ? null : formatTime(ended_ms)],
    ["peak memory", max_rss_bytes === null ? null : formatBytes(max_rss_bytes)],
  ];
  const list = element("dl", "hbj-pairs");
  for (const [term, value] of pairs) {
    if (value !== null)
      list.append(element("div", "", {}, element("dt", "", {}, term), element("dd", "", {}, value)));
  }
  return list;
}

function texts(detail: JobDetail): HTMLElement[] {
  const tail = plainLog(detail.tail).trimEnd();
  const blocks = [block("command", detail.command), block("end of the log", tail)];
  return blocks.filter((made) => made !== null);
}

function block(title: string, text: string): HTMLElement | null {
  if (!text) return null;
  const pre = element("pre", "hbj-log", { role: "group", tabindex: 0, "aria-label": title }, text);
  return element("div", "hbj-block", {}, element("div", "hbj-block-title", {}, title), pre);
}

function files(detail: JobDetail): HTMLElement {
  const lists: [string, string[]][] = [
    ["inputs", detail.inputs],
    ["outputs", detail.outputs],
    ["log", detail.log_path ? [detail.log_path] : []],
  ];
  const blocks = lists
    .filter(([, paths]) => paths.length > 0)
    .map(([title, paths]) => {
      const items = paths.map((path) => element("li", "", {}, path));
      const list = element("ul", "hbj-paths", { tabindex: 0, "aria-label": title }, ...items);
      return element("div", "hbj-block", {}, element("div", "hbj-block-title", {}, title), list);
    });
  return element("div", "hbj-columns", {}, ...blocks);
}
