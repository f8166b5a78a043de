/** The side panel: a toolbar with a filter, and the list of all runs. */

import { Widget } from "@lumino/widgets";
import { element, setAttribute, setHidden, setText } from "../dom";
import { type Deeds, type MakeIcon, RowActions } from "./actions";
import { RunsView } from "./list";
import { isShown, matches, SHOWN_STATES, type ShownState } from "./rows";
import type { Listing } from "./runs";

const AGE_MS = 1000;

/** A button beside the heading. */
export interface Tool {
  label: string;
  icon: Node;
  press: () => void;
}

export class RunsPanel extends Widget {
  readonly #runs: Listing;
  readonly #stop = new AbortController();
  readonly #view: RunsView;
  readonly #filter = element("input", "hbj-filter", {
    type: "search",
    placeholder: "Filter…",
    "aria-label": "Filter the batches",
  });
  readonly #states = element(
    "select",
    "hbj-states",
    { "aria-label": "Show the batches in state" },
    ...SHOWN_STATES.map((state) => element("option", "", { value: state }, state)),
  );
  readonly #note = element("div", "hbj-panel-note", { role: "status" });
  readonly #more = element("button", "hbj-older", { type: "button" }, "Show older batches");
  readonly #message = element("div", "hbj-panel-message", { role: "status" });
  readonly #scroll = element("div", "hbj-panel-scroll");
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(runs: Listing, deeds: Deeds, icon: MakeIcon, tools: readonly Tool[]) {
    super({ node: element("div", "", { role: "region", "aria-label": "Batches" }) });
    const { signal } = this.#stop;
    this.#runs = runs;
    this.addClass("hbj-root");
    this.addClass("hbj-panel");
    const actions = new RowActions(deeds, icon, signal);
    this.#view = new RunsView(
      actions,
      (row) => deeds.open(row),
      () => runs.nowMs(),
      signal,
    );
    this.#filter.addEventListener("input", () => this.#draw(), { signal });
    this.#states.addEventListener("change", () => this.#draw(), { signal });
    this.#more.addEventListener("click", () => void runs.showMore(), { signal });
    const heading = element("h2", "hbj-panel-heading", {}, "Batches");
    const toolbar = element(
      "div",
      "hbj-panel-toolbar",
      {},
      heading,
      makeTools(tools, signal),
      this.#filter,
      this.#states,
    );
    this.#scroll.append(this.#message, this.#view.element, this.#more);
    this.#scroll.addEventListener("scroll", () => this.#fillSight(), { signal, passive: true });
    this.node.append(toolbar, this.#scroll, this.#note);
    const unsubscribe = runs.subscribe(() => this.#draw());
    signal.addEventListener("abort", unsubscribe, { once: true });
    this.#draw();
  }

  override dispose(): void {
    clearInterval(this.#ticking);
    this.#stop.abort();
    super.dispose();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) this.onAfterShow();
  }

  protected override onAfterShow(): void {
    this.#draw();
    void this.#runs.refresh();
    clearInterval(this.#ticking);
    this.#ticking = setInterval(() => this.#draw(), AGE_MS);
  }

  protected override onAfterHide(): void {
    clearInterval(this.#ticking);
  }

  protected override onActivateRequest(): void {
    this.#filter.focus();
  }

  #draw(): void {
    // What nobody sees is drawn when it is shown: then the rows are fetched again anyway.
    if (!this.isVisible) return;
    const { rows, trouble, note, more } = this.#runs;
    const state = this.#shownState;
    const shown = (rows ?? []).filter((row) => isShown(row, state) && matches(row, this.#filter.value));
    this.#view.update(shown);
    const text = trouble || this.#emptyText(shown.length);
    setText(this.#message, text);
    setHidden(this.#message, !text);
    setText(this.#note, note);
    setAttribute(this.#note, "title", note);
    setHidden(this.#note, !note);
    setHidden(this.#more, !more);
    this.#fillSight();
  }

  /** Makes more rows while the end of those that are there is near. */
  #fillSight(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroll;
    if (clientHeight && scrollTop + 2 * clientHeight > scrollHeight) this.#view.showMore();
  }

  get #shownState(): ShownState {
    return SHOWN_STATES[this.#states.selectedIndex] ?? "All";
  }

  #emptyText(nShown: number): string {
    const { rows } = this.#runs;
    if (!rows) return "Looking for batches…";
    if (rows.length === 0)
      return "No batches yet. %batch_run in a notebook, or run() in a script, makes one.";
    if (nShown > 0) return "";
    const words = this.#filter.value ? ` has “${this.#filter.value}” in it` : "";
    const state = this.#shownState === "All" ? "" : ` is in the list “${this.#shownState}”`;
    return `None of ${rows.length} batches${[words, state].filter((part) => part).join(" and")}.`;
  }
}

function makeTools(tools: readonly Tool[], signal: AbortSignal): HTMLElement {
  const buttons = tools.map(({ label, icon, press }) => {
    const words = { type: "button", title: label, "aria-label": label };
    const made = element("button", "hbj-row-action", words, icon);
    made.addEventListener("click", press, { signal });
    return made;
  });
  return element("div", "hbj-panel-tools", {}, ...buttons);
}
