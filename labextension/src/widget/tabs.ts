/** The tabs of the widget: the graph, which is there at once, and views that are loaded when one is first opened. */

import { isHeld } from "../dag/keys";
import { element, setAttribute, setHidden, setText } from "../dom";
import type { Run } from "../runs";
import type { Panel, ViewName, Views } from "../views/host";
import type { Loader, Waiting } from "./loader";

type TabName = "graph" | ViewName;

const TITLES: readonly [TabName, string][] = [
  ["graph", "Graph"],
  ["timeline", "Timeline"],
  ["jobs", "Jobs"],
  ["resources", "Resources"],
];

/** Of the names of single views, "" and that of the progress line are none of a tab. */
export function isTab(only: string): only is TabName {
  return only !== "" && only !== "progress";
}

/** Tells the tabs of several widgets on a page apart. */
let nMade = 0;

interface Tab {
  name: TabName;
  button: HTMLElement;
  panel: HTMLElement;
}

export class Tabs {
  readonly element: HTMLElement;
  readonly #list = element("div", "hbj-tabs", { role: "tablist", "aria-label": "Views of the run" });
  readonly #tabs: Tab[];
  readonly #loader: Loader;
  readonly #signal: AbortSignal;
  readonly #views = new Map<TabName, Panel>();
  #loaded: Views | null = null;
  #chosen: TabName = "graph";
  #run: Run | null = null;
  #marked: number | null = null;
  readonly #waiting: Waiting = {
    ready: (views) => {
      this.#loaded = views;
      this.choose(this.#chosen);
    },
    say: (text) => this.#say(text),
  };

  constructor(graph: HTMLElement, loader: Loader, signal: AbortSignal) {
    this.#loader = loader;
    this.#signal = signal;
    const id = `hbj-${++nMade}`;
    this.#tabs = TITLES.map(([name, title]) => this.#tab(id, name, title));
    this.#tabs[0]?.panel.append(graph);
    this.element = element("div", "hbj-views", {}, this.#list, ...this.#tabs.map(({ panel }) => panel));
    this.#list.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.choose("graph");
  }

  /** Shows the run in the view that is open; the others follow when they are opened. */
  update(run: Run): void {
    const begins = !this.#run;
    this.#run = run;
    if (begins) this.choose(this.#chosen);
    else this.#views.get(this.#chosen)?.update(run);
  }

  /** Marks a job in the view that is open; null for none. */
  mark(job: number | null): void {
    this.#marked = job;
    this.#views.get(this.#chosen)?.mark?.(job);
  }

  #tab(id: string, name: TabName, title: string): Tab {
    const attributes = {
      type: "button",
      role: "tab",
      id: `${id}-${name}`,
      "aria-controls": `${id}-${name}-panel`,
    };
    const button = element("button", "hbj-tab", attributes, title);
    button.addEventListener("click", () => this.choose(name), { signal: this.#signal });
    this.#list.append(button);
    const panel = element("div", "hbj-tabpanel", {
      role: "tabpanel",
      id: `${id}-${name}-panel`,
      "aria-labelledby": `${id}-${name}`,
    });
    return { name, button, panel };
  }

  choose(name: TabName): void {
    this.#chosen = name;
    for (const tab of this.#tabs) {
      const chosen = tab.name === name;
      setAttribute(tab.button, "aria-selected", String(chosen));
      tab.button.tabIndex = chosen ? 0 : -1;
      setHidden(tab.panel, !chosen);
    }
    const root = this.element?.closest<HTMLElement>(".hbj-root");
    if (root) root.dataset.view = name;
    if (name !== "graph") this.#open(name);
  }

  #open(name: ViewName): void {
    if (!this.#run) return;
    if (!this.#loaded) {
      this.#loader.need(this.#run, this.#waiting);
      return;
    }
    let view = this.#views.get(name);
    if (!view) {
      view = this.#loaded.panel(name);
      this.#views.set(name, view);
      this.#panelOf(name)?.replaceChildren(view.element);
    }
    view.update(this.#run);
    view.mark?.(this.#marked);
  }

  #panelOf(name: TabName): HTMLElement | undefined {
    return this.#tabs.find((tab) => tab.name === name)?.panel;
  }

  #say(text: string): void {
    for (const { name, panel } of this.#tabs.slice(1)) {
      if (!panel.firstChild) panel.append(element("div", "hbj-waiting hbj-rest", { role: "status" }));
      if (!this.#views.has(name) && panel.firstElementChild) setText(panel.firstElementChild, text);
    }
  }

  #onKey(event: KeyboardEvent): void {
    if (isHeld(event)) return;
    const at = this.#tabs.findIndex(({ name }) => name === this.#chosen);
    const last = this.#tabs.length - 1;
    const next: Record<string, number> = {
      ArrowLeft: at === 0 ? last : at - 1,
      ArrowRight: at === last ? 0 : at + 1,
      Home: 0,
      End: last,
    };
    const tab = this.#tabs[next[event.key] ?? -1];
    if (!tab) return;
    event.preventDefault();
    this.choose(tab.name);
    tab.button.focus();
  }
}
