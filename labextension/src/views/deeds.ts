/** The buttons of a job's sheet: retry and cancel this job. What loses work is asked about first. */

import type { Deed, JobDetail } from "../contract";
import { button, element, setHidden, setText } from "../dom";
import { plural } from "../format";
import type { Run } from "../runs";
import type { Host, Report } from "./host";

export class DeedRow {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #job: number;
  readonly #signal: AbortSignal;
  readonly #retry: HTMLButtonElement;
  readonly #cancel: HTMLButtonElement;
  readonly #question = element("span", "hbj-question-text");
  readonly #confirm: HTMLElement;
  readonly #why = element("div", "hbj-rest");
  readonly #report = element("div", "hbj-report", { role: "status" });
  readonly #open: HTMLButtonElement;
  #detail: JobDetail | null = null;
  #run: Run | null = null;
  #doing = false;
  #newRun = "";

  constructor(host: Host, job: number, signal: AbortSignal) {
    this.#host = host;
    this.#job = job;
    this.#signal = signal;
    this.#retry = button("", "Retry this job", () => this.#carryOut("retry"), signal);
    this.#cancel = button("", "Cancel this job", () => this.#ask(true), signal);
    this.#open = button("", "Open the new run", () => this.#openRun(), signal);
    this.#confirm = this.#makeConfirm();
    const row = element("div", "hbj-deeds", {}, this.#retry, this.#cancel, this.#open);
    this.element = element("div", "", {}, row, this.#confirm, this.#why, this.#report);
    for (const part of [this.#open, this.#confirm, this.#report, this.element]) setHidden(part, true);
  }

  update(run: Run): void {
    this.#run = run;
  }

  show(detail: JobDetail): void {
    this.#detail = detail;
    const { cancel, retry } = detail.deeds;
    const why = [cancel, retry].filter(Boolean).join(" ");
    setHidden(this.#retry, retry === null);
    setHidden(this.#cancel, cancel === null || !this.#confirm.hidden);
    this.#retry.disabled = retry !== "" || this.#doing;
    this.#cancel.disabled = cancel !== "" || this.#doing;
    if (cancel === null) setHidden(this.#confirm, true);
    setText(this.#why, why);
    setHidden(this.#why, !why);
    setHidden(this.element, cancel === null && retry === null && this.#report.hidden);
  }

  #makeConfirm(): HTMLElement {
    const yes = button("hbj-danger", "Cancel the job", () => this.#goOn(), this.#signal);
    const no = button("", "Keep it", () => this.#ask(false), this.#signal);
    const attributes = { role: "group", "aria-label": "Cancel the job?" };
    const made = element("div", "hbj-question", attributes, this.#question, yes, no);
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#ask(false);
    };
    made.addEventListener("keydown", onKey, { signal: this.#signal });
    return made;
  }

  #ask(open: boolean): void {
    const below = this.#run ? nBelow(this.#run, this.#job) : 0;
    const lost = this.#run?.stateOf(this.#job) === "running" ? "What it has done so far is lost. " : "";
    const others =
      below > 0 ? ` The ${plural(below, "job")} that ${below === 1 ? "needs" : "need"} it will not run.` : "";
    setText(this.#question, `${lost}Cancel “${this.#detail?.name}”?${others}`);
    setHidden(this.#confirm, !open);
    setHidden(this.#cancel, open);
    (open ? this.#confirm.querySelector("button") : this.#cancel)?.focus();
  }

  #goOn(): void {
    this.#ask(false);
    this.#carryOut("cancel");
  }

  #carryOut(kind: Deed["kind"]): void {
    const detail = this.#detail;
    if (!detail || this.#doing) return;
    this.#doing = true;
    this.#retry.disabled = this.#cancel.disabled = true;
    this.#tell({ text: kind === "retry" ? "Retrying…" : "Cancelling…", done: false });
    this.#host.carryOut({ kind, job_ids: [detail.job_id] }, (report) => {
      if (this.#signal.aborted) return;
      this.#doing = !report.done;
      this.#tell(report);
      if (report.done && this.#detail) this.show(this.#detail);
    });
  }

  #tell({ text, run = "" }: Report): void {
    this.#newRun = run;
    setText(this.#report, text);
    setHidden(this.#report, !text);
    setHidden(this.#open, !run);
    setHidden(this.element, false);
  }

  #openRun(): void {
    if (this.#host.openRun(this.#newRun)) return;
    setText(this.#report, `%batch_attach ${this.#newRun} in a cell shows the new run.`);
  }
}

/** Jobs that depend on one, near and far, and have not ended. */
function nBelow(run: Run, job: number): number {
  const reached = new Uint8Array(run.n);
  reached[job] = 1;
  let count = 0;
  let grew = true;
  while (grew) {
    grew = false;
    for (let edge = 0; edge < run.src.length; edge++) {
      const target = run.dst[edge] ?? 0;
      if (!reached[run.src[edge] ?? 0] || reached[target]) continue;
      reached[target] = 1;
      grew = true;
      if ((run.state[target] ?? 0) < 4) count++;
    }
  }
  return count;
}
