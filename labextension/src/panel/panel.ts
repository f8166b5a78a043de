/** The side panel: a toolbar with a filter, and the list of all runs. */

import { Widget } from "@lumino/widgets";
import { element, setHidden, setText } from "../dom";
import { type Deeds, type MakeIcon, RowActions } from "./actions";
import { RunsView } from "./list";
import { matches } from "./rows";
import type { Runs } from "./runs";

const AGE_MS = 1000;

export class RunsPanel extends Widget {
  private readonly runs: Runs;
  private readonly stop = new AbortController();
  private readonly view: RunsView;
  private readonly filter = element("input", "hbj-filter", {
    type: "search",
    placeholder: "Filter by name, state, …",
    "aria-label": "Filter the batches",
  });
  private readonly message = element("div", "hbj-panel-message", { role: "status" });
  private ticking: ReturnType<typeof setInterval> | undefined;

  constructor(runs: Runs, deeds: Deeds, icon: MakeIcon, refreshIcon: Node) {
    super({ node: element("div", "", { role: "region", "aria-label": "Batches" }) });
    const { signal } = this.stop;
    this.runs = runs;
    this.addClass("hbj-root");
    this.addClass("hbj-panel");
    this.view = new RunsView(new RowActions(deeds, icon, signal), (row) => deeds.open(row), signal);
    const refresh = element(
      "button",
      "hbj-row-action hbj-refresh",
      { type: "button", title: "Refresh", "aria-label": "Refresh the list of batches" },
      refreshIcon,
    );
    refresh.addEventListener("click", () => void runs.refresh(), { signal });
    this.filter.addEventListener("input", () => this.draw(), { signal });
    const heading = element("h2", "hbj-panel-heading", {}, "Batches");
    const toolbar = element("div", "hbj-panel-toolbar", {}, heading, refresh, this.filter);
    const scroll = element("div", "hbj-panel-scroll", {}, this.message, this.view.element);
    this.node.append(toolbar, scroll);
    const unsubscribe = runs.subscribe(() => this.draw());
    signal.addEventListener("abort", unsubscribe, { once: true });
    this.draw();
  }

  override dispose(): void {
    clearInterval(this.ticking);
    this.stop.abort();
    super.dispose();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) this.onAfterShow();
  }

  protected override onAfterShow(): void {
    this.draw();
    void this.runs.refresh();
    clearInterval(this.ticking);
    this.ticking = setInterval(() => this.draw(), AGE_MS);
  }

  protected override onAfterHide(): void {
    clearInterval(this.ticking);
  }

  protected override onActivateRequest(): void {
    this.filter.focus();
  }

  private draw(): void {
    // What nobody sees is drawn when it is shown: then the rows are fetched again anyway.
    if (!this.isVisible) return;
    const { rows, trouble } = this.runs;
    const shown = (rows ?? []).filter((row) => matches(row, this.filter.value));
    this.view.update(shown, this.runs.nowMs());
    const text = trouble || this.emptyText(shown.length);
    setText(this.message, text);
    setHidden(this.message, !text);
  }

  private emptyText(nShown: number): string {
    const { rows } = this.runs;
    if (!rows) return "Looking for batches…";
    if (rows.length === 0)
      return "No batches yet. %batch_run in a notebook, or run() in a script, makes one.";
    return nShown === 0 ? `None of ${rows.length} batches has “${this.filter.value}” in it.` : "";
  }
}
