/** The first lines: name, state, where, how long, what it costs, and the way to cancel. */

import type { BatchState } from "../contract";
import { button, element, glyph, setAttribute, setGlyph, setHidden, setText } from "../dom";
import { formatDuration, plural } from "../format";
import type { Run } from "../runs";
import type { StateName } from "../states";
import type { Session } from "./session";

const CHIPS: Readonly<Record<BatchState, { glyph: StateName; word: string }>> = {
  open: { glyph: "pending", word: "Not started" },
  running: { glyph: "running", word: "Running" },
  success: { glyph: "success", word: "Succeeded" },
  failure: { glyph: "failed", word: "Failed" },
  cancelled: { glyph: "cancelled", word: "Cancelled" },
};

export class Header {
  readonly element: HTMLElement;
  private readonly session: Session;
  private readonly chipGlyph = glyph("pending");
  private readonly chipWord = element("span");
  private readonly chip = element("span", "hbj-chip", {}, this.chipGlyph, this.chipWord);
  private readonly title = element("span", "hbj-title");
  private readonly place = element("span", "hbj-place");
  private readonly elapsed = element("span", "hbj-elapsed", { title: "elapsed" });
  private readonly cost = element("span", "hbj-cost");
  private readonly note = element("div", "hbj-note");
  private readonly report = element("div", "hbj-report", { role: "status" });
  private readonly trouble = element("div", "hbj-trouble", { role: "status" });
  private readonly line: HTMLElement;
  private readonly cancel: HTMLButtonElement;
  private readonly question = element("span", "hbj-question-text");
  private readonly confirm: HTMLElement;

  constructor(session: Session, signal: AbortSignal) {
    this.session = session;
    this.cancel = button("hbj-cancel", "Cancel", () => this.ask(true), signal);
    this.confirm = this.makeConfirm(signal);
    const facts = element("span", "hbj-facts", {}, this.elapsed, this.cost);
    this.line = element("div", "hbj-headline", {}, this.chip, this.title, this.place, facts, this.cancel);
    this.element = element(
      "div",
      "hbj-header",
      {},
      this.line,
      this.confirm,
      this.note,
      this.report,
      this.trouble,
    );
  }

  /** Hides all but what went wrong, until there is a run. */
  show(all: boolean): void {
    setHidden(this.line, !all);
    for (const part of [this.note, this.report]) setHidden(part, true);
  }

  update(run: Run): void {
    const { clock, head } = run;
    const chip = CHIPS[clock.state];
    setAttribute(this.chip, "data-state", clock.state);
    setGlyph(this.chipGlyph, chip.glyph);
    setText(this.chipWord, clock.cancelling && !clock.complete ? "Cancelling" : chip.word);
    setText(this.title, head.name || head.id);
    setAttribute(this.title, "title", head.id);
    setText(this.place, head.runs_on || head.backend);
    setText(this.cost, clock.cost_text);
    setText(this.note, head.note);
    setHidden(this.note, !head.note);
    this.updateCancel(run);
    this.updateTrouble();
    this.tick(run);
  }

  /** What there is to say before the first snapshot, and when the kernel is gone. */
  updateTrouble(): void {
    setText(this.trouble, this.session.trouble);
    setHidden(this.trouble, !this.session.trouble);
  }

  /** Moves the clock on; called every second without any message. */
  tick(run: Run): void {
    const elapsedMs = run.elapsedMs();
    setText(this.elapsed, elapsedMs === null ? "" : formatDuration(elapsedMs));
  }

  private updateCancel(run: Run): void {
    const { clock, counts } = run;
    const { cancelReport } = this.session;
    const pending = clock.cancelling || cancelReport.pending;
    setText(this.cancel, pending ? "Cancelling…" : "Cancel");
    this.cancel.disabled = pending;
    const text = clock.complete ? "" : cancelReport.text;
    setText(this.report, text);
    setHidden(this.report, !text);
    const nLeft = (counts[0] ?? 0) + (counts[1] ?? 0) + (counts[2] ?? 0) + (counts[3] ?? 0);
    setText(this.question, `Cancel the ${plural(nLeft, "job")} not yet finished?`);
    if (clock.complete || pending) setHidden(this.confirm, true);
    setHidden(this.cancel, clock.complete || !this.confirm.hidden);
  }

  private makeConfirm(signal: AbortSignal): HTMLElement {
    const yes = button("hbj-danger", "Cancel the run", () => this.goOn(), signal);
    const no = button("", "Keep running", () => this.ask(false), signal);
    const group = element(
      "div",
      "hbj-question",
      { role: "group", "aria-label": "Cancel the run?" },
      this.question,
      yes,
      no,
    );
    group.hidden = true;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.ask(false);
    };
    group.addEventListener("keydown", onKey, { signal });
    return group;
  }

  private ask(open: boolean): void {
    setHidden(this.confirm, !open);
    setHidden(this.cancel, open);
    const next = open ? this.confirm.querySelector("button") : this.cancel;
    next?.focus();
  }

  private goOn(): void {
    this.ask(false);
    this.session.cancel();
  }
}
