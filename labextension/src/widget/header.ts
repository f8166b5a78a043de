/** The first lines: name, state, where, how long, what it costs, and the way to cancel. */

import type { BatchState, Clock } from "../contract";
import { button, element, glyph, setAttribute, setGlyph, setHidden, setText } from "../dom";
import { formatDuration, formatTook, plural } from "../format";
import type { Run } from "../runs";
import type { StateName } from "../states";
import type { Report } from "../views/host";
import type { Session } from "./session";

interface Chip {
  /** Gives the colour. */
  state: BatchState;
  glyph: StateName;
  word: string;
}

const CHIPS: Readonly<Record<BatchState, Chip>> = {
  open: { state: "open", glyph: "pending", word: "Not started" },
  running: { state: "running", glyph: "running", word: "Running" },
  success: { state: "success", glyph: "success", word: "Succeeded" },
  failure: { state: "failure", glyph: "failed", word: "Failed" },
  cancelled: { state: "cancelled", glyph: "cancelled", word: "Cancelled" },
};

const STOPPED: Chip = { state: "failure", glyph: "error", word: "Stopped" };
const CANCELLING: Chip = { state: "cancelled", glyph: "running", word: "Cancelling" };
const FAILING: Chip = { state: "failure", glyph: "running", word: "Failing" };

/** A batch has its last state from its first failed job on; a person asks whether it still goes on. */
export function chipOf(
  { state, complete, lost }: Pick<Clock, "state" | "complete" | "lost">,
  cancelling: boolean,
): Chip {
  if (complete) return lost ? STOPPED : CHIPS[state];
  if (cancelling || state === "cancelled") return CANCELLING;
  return state === "failure" ? FAILING : CHIPS[state];
}

export class Header {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #chipGlyph = glyph("pending");
  readonly #chipWord = element("span");
  readonly #chip = element("span", "hbj-chip", {}, this.#chipGlyph, this.#chipWord);
  readonly #title = element("span", "hbj-title");
  readonly #id = element("span", "hbj-run-id");
  readonly #place = element("span", "hbj-place");
  readonly #elapsed = element("span", "hbj-elapsed", { title: "elapsed" });
  readonly #cost = element("span", "hbj-cost");
  readonly #note = element("div", "hbj-note");
  readonly #report = element("div", "hbj-report", { role: "status" });
  readonly #trouble = element("div", "hbj-trouble", { role: "status" });
  readonly #line: HTMLElement;
  readonly #cancel: HTMLButtonElement;
  readonly #retry: HTMLButtonElement;
  #retried: Partial<Report> = {};
  readonly #question = element("span", "hbj-question-text");
  readonly #confirm: HTMLElement;

  constructor(session: Session, signal: AbortSignal) {
    this.#session = session;
    this.#cancel = button("hbj-cancel", "Cancel", () => this.#ask(true), signal);
    this.#retry = button("", "", () => this.#again(), signal);
    this.#confirm = this.#makeConfirm(signal);
    const facts = element("span", "hbj-facts", {}, this.#elapsed, this.#cost, this.#cancel, this.#retry);
    this.#line = element("div", "hbj-headline", {}, this.#chip, this.#title, this.#id, this.#place, facts);
    this.element = element(
      "div",
      "hbj-header",
      {},
      this.#line,
      this.#confirm,
      this.#note,
      this.#report,
      this.#trouble,
    );
  }

  /** Hides all but what went wrong, until there is a run. */
  show(all: boolean): void {
    setHidden(this.#line, !all);
    for (const part of [this.#note, this.#report]) setHidden(part, true);
  }

  update(run: Run): void {
    const { clock, head } = run;
    const chip = chipOf(clock, this.#isCancelling(run));
    setAttribute(this.#chip, "data-state", chip.state);
    setGlyph(this.#chipGlyph, chip.glyph);
    setText(this.#chipWord, chip.word);
    setText(this.#title, run.title);
    setText(this.#id, run.isNamed ? "" : head.id);
    setAttribute(this.#title, "title", head.id);
    setText(this.#place, head.backend);
    setAttribute(this.#place, "title", `runs on ${head.runs_on}`);
    setText(this.#cost, clock.cost_text);
    setText(this.#note, head.note);
    setHidden(this.#note, !head.note);
    this.#updateCancel(run);
    this.updateTrouble();
    this.tick(run);
  }

  /** What there is to say before the first snapshot, and when the kernel is gone. */
  updateTrouble(): void {
    const { text } = this.#session.trouble;
    setText(this.#trouble, text);
    setHidden(this.#trouble, !text);
  }

  /** Moves the clock on; called every second without any message. */
  tick(run: Run): void {
    const elapsedMs = run.elapsedMs(this.#session.trouble.knownMs());
    const format = run.clock.complete ? formatTook : formatDuration;
    setText(this.#elapsed, elapsedMs === null ? "" : format(elapsedMs));
  }

  #isCancelling({ clock }: Run): boolean {
    return clock.cancelling || this.#session.cancelReport.pending;
  }

  #updateCancel(run: Run): void {
    const { clock, counts } = run;
    const { cancelReport } = this.#session;
    const pending = this.#isCancelling(run);
    setText(this.#cancel, pending ? "Cancelling…" : "Cancel");
    this.#cancel.disabled = pending;
    const { text: again, done = true, run: newRun } = this.#retried;
    const text = clock.complete ? again : cancelReport.text;
    setText(this.#report, text ?? "");
    setHidden(this.#report, !text);
    const nUndone = (counts[5] ?? 0) + (counts[6] ?? 0) + (counts[7] ?? 0);
    setHidden(this.#retry, !clock.complete || nUndone === 0);
    setText(this.#retry, newRun ? "Open the new run" : "Retry");
    this.#retry.disabled = !done;
    const nLeft = (counts[0] ?? 0) + (counts[1] ?? 0) + (counts[2] ?? 0) + (counts[3] ?? 0);
    setText(this.#question, `Cancel the ${plural(nLeft, "job")} not yet finished?`);
    if (clock.complete || pending) setHidden(this.#confirm, true);
    setHidden(this.#cancel, clock.complete || !this.#confirm.hidden);
  }

  #makeConfirm(signal: AbortSignal): HTMLElement {
    const yes = button("hbj-danger", "Cancel the run", () => this.#goOn(), signal);
    const no = button("", "Keep running", () => this.#ask(false), signal);
    const group = element(
      "div",
      "hbj-question",
      { role: "group", "aria-label": "Cancel the run?" },
      this.#question,
      yes,
      no,
    );
    group.hidden = true;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#ask(false);
    };
    group.addEventListener("keydown", onKey, { signal });
    return group;
  }

  #ask(open: boolean): void {
    setHidden(this.#confirm, !open);
    setHidden(this.#cancel, open);
    const next = open ? this.#confirm.querySelector("button") : this.#cancel;
    next?.focus();
  }

  /** Runs again what failed or was cancelled; then leads to the new run. */
  #again(): void {
    const { run: newRun } = this.#retried;
    if (newRun) {
      if (!this.#session.openRun(newRun)) this.#retried.text = `%batch_attach ${newRun} shows the new run.`;
    } else {
      this.#retried = { done: false };
      this.#session.carryOut({ kind: "retry" }, (report) => {
        this.#retried = report;
        this.#refresh();
      });
    }
    this.#refresh();
  }

  #refresh(): void {
    if (this.#session.run) this.#updateCancel(this.#session.run);
  }

  #goOn(): void {
    this.#ask(false);
    this.#session.cancel();
  }
}
