/** The rows of the panel in two groups, kept from look to look: the first ones, and more when somebody comes to their end. The actions stand in the row under the pointer or the focus. */

import type { RunRow } from "../contract";
import { element, setHidden, setText } from "../dom";
import { formatCount } from "../format";
import { RowView } from "./row";

/** Rows that are there at once, and that come when the end of those is reached: about three pages of the panel. */
const N_AT_A_TIME = 60;

type Group = { element: HTMLElement; heading: HTMLElement; list: HTMLElement; order: string };

export class RunsView {
  readonly element: HTMLElement;
  readonly #views = new Map<string, RowView>();
  readonly #running = makeGroup();
  readonly #ended = makeGroup();
  readonly #actions: Actions;
  readonly #nowMs: () => number;
  #active: RowView | null = null;
  #rows: readonly RunRow[] = [];
  #room = N_AT_A_TIME;

  constructor(actions: Actions, open: (row: RunRow) => void, nowMs: () => number, signal: AbortSignal) {
    this.#actions = actions;
    this.#nowMs = nowMs;
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

  /** Shows the first of these rows. */
  update(rows: readonly RunRow[]): void {
    const running = rows.filter((row) => !row.complete);
    const ended = rows.filter((row) => row.complete);
    this.#rows = [...running, ...ended];
    // What has the focus stays, also when newer rows come before it.
    const at = this.#rows.findIndex(({ run_id }) => run_id === this.#active?.row.run_id);
    if (at >= this.#room) this.#room = at + N_AT_A_TIME;
    const shown = this.#rows.slice(0, this.#room);
    this.#forgetBut(new Set(shown.map((row) => row.run_id)));
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const nowMs = this.#nowMs();
    const views = shown.map((row) => this.#view(row, nowMs));
    fill(this.#running, "Running", views.slice(0, running.length), running.length);
    fill(this.#ended, "Ended", views.slice(running.length), ended.length);
    // An element that moves loses the focus.
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus();
    if (this.#active) this.#actions.show(this.#active.row);
    else this.#activate(this.#order()[0] ?? null);
  }

  /** Shows so many more rows; false when all are there. */
  showMore(count = N_AT_A_TIME): boolean {
    if (this.#room >= this.#rows.length) return false;
    this.#room += count;
    this.update(this.#rows);
    return true;
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
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { length } = this.#rows;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = this.#active ? this.#order().indexOf(this.#active) : -1;
    const next = event.key === "Home" ? 0 : event.key === "End" ? length - 1 : step ? at + step : -1;
    if (next < 0 || next >= length) return;
    event.preventDefault();
    if (next >= this.#room) this.showMore(next + 1 - this.#room);
    this.#order()[next]?.open.focus();
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

/** Puts the rows in their order, the first of `count`; a list whose order has not changed is left in peace. */
function fill(group: Group, title: string, views: readonly RowView[], count: number): void {
  setHidden(group.element, count === 0);
  setText(group.heading, `${title} (${formatCount(count)})`);
  group.list.setAttribute("aria-label", title);
  const order = views.map((view) => view.row.run_id).join("\n");
  if (order === group.order) return;
  group.order = order;
  group.list.replaceChildren(...views.map((view) => view.element));
}
