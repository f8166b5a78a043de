/** What is in the sheet of one job: facts, deeds, log, attempts, command, files. */

import type { AttemptDetail, JobDetail, Use } from "../contract";
import { button, element, glyph, setText } from "../dom";
import { formatBytes, formatTime, formatTook } from "../format";
import type { Run } from "../runs";
import { type StateName, WORDS } from "../states";
import { DeedRow } from "./deeds";
import type { Host, Panel } from "./host";
import { LogView } from "./log";

/** After this the user is told why there are no details yet, in ms. */
const SLOW_MS = 1500;

export class JobSheet implements Panel {
  readonly element = element("div", "hbj-job", {}, "Asking the kernel…");
  readonly #host: Host;
  readonly #job: number;
  readonly #facts = element("div");
  readonly #links = element("div", "hbj-rest");
  readonly #rest = element("div");
  readonly #deeds: DeedRow;
  readonly #signal: AbortSignal;
  #log: LogView | null = null;
  #forget: () => void = () => {};
  #slow: ReturnType<typeof setTimeout> | undefined;
  #askedFor = "";

  constructor(host: Host, job: number, signal: AbortSignal) {
    this.#host = host;
    this.#job = job;
    this.#signal = signal;
    this.#deeds = new DeedRow(host, job, signal);
    signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /** Asks again whenever the job has another state, or the run has ended. */
  update(run: Run): void {
    this.#deeds.update(run);
    const as = `${run.stateOf(this.#job)} ${run.clock.complete}`;
    if (as === this.#askedFor) return;
    this.#askedFor = as;
    this.#stop();
    this.#forget = this.#host.ask({ kind: "job", job: this.#job }, (reply) => {
      clearTimeout(this.#slow);
      if (reply.kind === "job") this.#show(reply.detail);
      else if (!this.#log && reply.kind === "answer") this.element.textContent = reply.text;
    });
    this.#slow = setTimeout(() => this.#explain(), SLOW_MS);
  }

  #stop(): void {
    this.#forget();
    clearTimeout(this.#slow);
  }

  #explain(): void {
    if (!this.#log)
      this.element.textContent = "The kernel is busy; the details come when the running cell ends.";
  }

  #show(detail: JobDetail): void {
    if (!this.#log) {
      this.#log = new LogView(this.#host, this.#job, detail.name, this.#signal);
      this.element.replaceChildren(
        this.#facts,
        this.#deeds.element,
        this.#links,
        this.#log.element,
        this.#rest,
      );
    }
    this.#deeds.show(detail);
    this.#facts.replaceChildren(...facts(detail));
    this.#links.replaceChildren(...this.#linksOf(detail));
    this.#rest.replaceChildren(...this.#attempts(detail), ...command(detail), files(detail));
    this.#log.update(detail.logs, detail.state === "Running");
  }

  /** To the job because of which this one was cancelled, and to the run that the log is of. */
  #linksOf({ blamed, log_of }: JobDetail): (Node | string)[] {
    const links: (Node | string)[] = [];
    if (blamed) {
      const show = (): void => this.#host.openJob(blamed.job);
      links.push("It never ran. ", button("", `Show ${blamed.name}`, show, this.#signal));
    }
    if (!log_of) return links;
    const { run, text } = log_of;
    const said = element("span", "", {}, `${text} `);
    const open = button("", "Open that run", () => {
      if (!this.#host.openRun(run)) setText(said, `${text} %batch_attach ${run} shows it. `);
    }, this.#signal); // biome-ignore format: one button
    return [...links, said, ...(run ? [open] : [])];
  }

  /** Where there was more than one, each with its own log. */
  #attempts({ attempts, logs }: JobDetail): HTMLElement[] {
    if (attempts.length < 2) return [];
    const written = new Set(logs.map(([attempt]) => attempt));
    const rows = attempts.map((attempt) => {
      const row = attemptRow(attempt);
      const cell = element("td");
      if (written.has(attempt.number)) cell.append(this.#logButton(attempt.number));
      row.append(cell);
      return row;
    });
    const heads = ["attempt", "state", "started", "took", "peak memory", "log"];
    const head = element("tr", "", {}, ...heads.map((title) => element("th", "", { scope: "col" }, title)));
    const table = element(
      "table",
      "hbj-attempts",
      {},
      element("thead", "", {}, head),
      element("tbody", "", {}, ...rows),
    );
    return [block("attempts", table)];
  }

  #logButton(attempt: number): HTMLElement {
    const made = element(
      "button",
      "hbj-button",
      { type: "button", "aria-label": `Log of attempt ${attempt}` },
      "Log",
    );
    made.addEventListener("click", () => this.#log?.showAttempt(attempt), { signal: this.#signal });
    return made;
  }
}

function attemptRow(attempt: AttemptDetail): HTMLElement {
  const { number, exit_code, reason, started_ms, ended_ms, peak_bytes } = attempt;
  const state = stateOf(attempt.state);
  const words = [WORDS[state], exit_code ? `exit code ${exit_code}` : "", reason].filter(Boolean).join(" · ");
  const said = element("td", "", {}, element("span", "hbj-attempt-state", {}, glyph(state), words));
  const cells = [
    time(started_ms),
    took(started_ms, ended_ms),
    peak_bytes === null ? "" : formatBytes(peak_bytes),
  ];
  return element(
    "tr",
    "",
    {},
    element("td", "", {}, String(number)),
    said,
    ...cells.map((text) => element("td", "", {}, text ?? "")),
  );
}

function stateOf(state: string): StateName {
  const name = state.toLowerCase();
  return name in WORDS ? (name as StateName) : "failed";
}

function time(timeMs: number | null): string | null {
  return timeMs === null ? null : formatTime(timeMs);
}

function took(startedMs: number | null, endedMs: number | null): string | null {
  return startedMs === null || endedMs === null ? null : formatTook(endedMs - startedMs);
}

function facts(detail: JobDetail): HTMLElement[] {
  const { started_ms, ended_ms, ready_ms, exit_code, use } = detail;
  const pairs: [string, string | null][] = [
    ["exit code", exit_code === null ? null : String(exit_code)],
    ["reason", detail.reason || null],
    ["took", took(started_ms, ended_ms)],
    ["started", time(started_ms)],
    ["ended", time(ended_ms)],
    ["waited", took(ready_ms, started_ms)],
    ["cores", useText(use.cores, (cores) => String(Math.round(100 * cores) / 100))],
    ["memory", useText(use.memory_bytes, formatBytes)],
    ["GPUs", use.gpus.join(", ") || null],
    ["group", detail.groups.join(" / ") || null],
    ["runs", detail.always_run ? "always" : null],
  ];
  const list = element("dl", "hbj-pairs");
  for (const [term, value] of pairs) {
    if (value !== null)
      list.append(element("div", "", {}, element("dt", "", {}, term), element("dd", "", {}, value)));
  }
  return detail.hint ? [list, element("div", "hbj-rest", {}, `It ${detail.hint}.`)] : [list];
}

/** "2 asked · 2 granted · 1.3 used"; what says the same as another is left out. */
function useText([asked, granted, used]: Use, format: (value: number) => string): string | null {
  const parts: string[] = [];
  if (asked !== null) parts.push(`${format(asked)} asked for`);
  if (granted !== null && granted !== asked) parts.push(`${format(granted)} granted`);
  if (used !== null) parts.push(`${format(used)} used`);
  return parts.join(" · ") || null;
}

function command({ command, image, env }: JobDetail): HTMLElement[] {
  const about = [image ? `in ${image}` : "", env.length > 0 ? `with ${env.join(", ")} set` : ""].filter(
    Boolean,
  );
  const title = ["command", ...about].join(" ");
  if (!command) return [];
  return [
    block(title, element("pre", "hbj-log", { role: "group", tabindex: 0, "aria-label": "command" }, command)),
  ];
}

function files(detail: JobDetail): HTMLElement {
  const lists: [string, string[]][] = [
    ["inputs", detail.inputs],
    ["outputs", detail.outputs],
    ["file of the log", detail.log_path ? [detail.log_path] : []],
  ];
  const blocks = lists
    .filter(([, paths]) => paths.length > 0)
    .map(([title, paths]) => {
      const items = paths.map((path) => element("li", "", {}, path));
      return block(title, element("ul", "hbj-paths", { tabindex: 0, "aria-label": title }, ...items));
    });
  return element("div", "hbj-columns", {}, ...blocks);
}

function block(title: string, content: HTMLElement): HTMLElement {
  return element("div", "hbj-block", {}, element("div", "hbj-block-title", {}, title), content);
}
