/** The rows of the panel in two groups, kept from look to look; the actions stand in the row under the pointer or the focus. */

import type { RunRow } from "../contract";
import { element, setHidden, setText } from "../dom";
import { formatCount } from "../format";
import { RowView } from "./row";

type Group = { element: HTMLElement; heading: HTMLElement; list: HTMLElement; order: string };

export class RunsView {
  readonly element: HTMLElement;
  readonly #views = new Map<string, RowView>();
  readonly #running = makeGroup();
  readonly #ended = makeGroup();
  readonly #actions: Actions;
  #active: RowView | null = null;

  constructor(actions: Actions, open: (row: RunRow) => void, signal: AbortSignal) {
    this.#actions = actions;
    this.element = element("div", "hbj-groups", {}, this.#running.element, this.#ended.element);
    const activate = (event: Event): void => this.#activate(this.#viewAt(event.target));
    this.element.addEventListener("pointerover", activate, { signal });
    this.element.addEventListener("focusin", activate, { signal });
    const onClick = ({ target }: Event): void => {
      const view = this.#viewAt(target);
      if (view && target instanceof Node && view.open.contains(target)) open(view.row);
    };
    this.element.addEventListener("click", onClick, { signal });
    this.element.addEventListener("keydown", (event) => this.#onKey(event), { signal });
  }

  update(rows: readonly RunRow[], nowMs: number): void {
    const known = new Set(rows.map((row) => row.run_id));
    this.#forgetBut(known);
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const views = rows.map((row) => this.#view(row, nowMs));
    const [running, ended] = [
      views.filter(({ row }) => !row.complete),
      views.filter(({ row }) => row.complete),
    ];
    fill(this.#running, "Running", running);
    fill(this.#ended, "Ended", ended);
    // An element that moves loses the focus.
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus();
    if (this.#active) this.#actions.show(this.#active.row);
    else this.#activate(this.#order()[0] ?? null);
  }

  #view(row: RunRow, nowMs: number): RowView {
    let view = this.#views.get(row.run_id);
    if (!view) {
      view = new RowView(row);
      this.#views.set(row.run_id, view);
    }
    view.update(row, nowMs);
    return view;
  }

  /** Takes away the rows that are gone; the focus goes to the nearest one that stays. */
  #forgetBut(known: ReadonlySet<string>): void {
    const active = this.#active;
    if (active && !known.has(active.row.run_id)) {
      const order = this.#order();
      const at = order.indexOf(active);
      const stays = (view: RowView): boolean => known.has(view.row.run_id);
      const next = order.slice(at).find(stays) ?? order.slice(0, at).reverse().find(stays) ?? null;
      const had = active.element.contains(document.activeElement);
      this.#active = null;
      this.#activate(next);
      if (had) next?.open.focus();
    }
    for (const [id, view] of this.#views) {
      if (known.has(id)) continue;
      this.#views.delete(id);
      view.element.remove();
    }
  }

  #viewAt(target: EventTarget | null): RowView | null {
    const item = target instanceof Element ? target.closest<HTMLElement>(".hbj-row") : null;
    return this.#views.get(item?.dataset.run ?? "") ?? null;
  }

  /** Tab reaches one row of the list, and there its actions. */
  #activate(view: RowView | null): void {
    if (!view || view === this.#active) return;
    if (this.#active) this.#active.open.tabIndex = -1;
    this.#active = view;
    view.open.tabIndex = 0;
    this.#actions.show(view.row);
    view.element.append(this.#actions.element);
  }

  #onKey(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const order = this.#order();
    const at = this.#active ? order.indexOf(this.#active) : -1;
    const next = event.key === "Home" ? 0 : event.key === "End" ? order.length - 1 : step ? at + step : -1;
    if (event.ctrlKey || event.metaKey || event.altKey || !order[next]) return;
    event.preventDefault();
    order[next].open.focus();
  }

  #order(): RowView[] {
    const items = this.element.querySelectorAll<HTMLElement>(".hbj-row");
    return [...items].flatMap((item) => this.#views.get(item.dataset.run ?? "") ?? []);
  }
}

/** The buttons of one row, of which there is one set for all. */
export interface Actions {
  readonly element: HTMLElement;
  show(row: RunRow): void;
}

function makeGroup(): Group {
  const heading = element("h3", "hbj-group-heading");
  const list = element("ul", "hbj-rows");
  return { element: element("section", "hbj-group", {}, heading, list), heading, list, order: "" };
}

/** Puts the rows in their order; a list whose order has not changed is left in peace. */
function fill(group: Group, title: string, views: readonly RowView[]): void {
  setHidden(group.element, views.length === 0);
  setText(group.heading, `${title} (${formatCount(views.length)})`);
  group.list.setAttribute("aria-label", title);
  const order = views.map((view) => view.row.run_id).join("\n");
  if (order === group.order) return;
  group.order = order;
  group.list.replaceChildren(...views.map((view) => view.element));
}
