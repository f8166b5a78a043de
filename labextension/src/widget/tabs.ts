/** The tabs of the widget: the graph, which is there at once, and views that are loaded when one is first opened. */

import { isHeld } from "../dag/keys";
import { element, setAttribute, setHidden, setText } from "../dom";
import type { Run } from "../runs";
import type { Panel, ViewName } from "../views/host";
import { type Import, type Loaded, loadViews } from "./loader";
import type { Session } from "./session";

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

/** After this the user is told why the view is not there yet, in ms. */
const SLOW_MS = 1500;

/** Tells the tabs of several widgets on a page apart. */
let nMade = 0;

interface Tab {
  name: TabName;
  button: HTMLElement;
  panel: HTMLElement;
}

export class Tabs {
  readonly element: HTMLElement;
  private readonly list = element("div", "hbj-tabs", { role: "tablist", "aria-label": "Views of the run" });
  private readonly tabs: Tab[];
  private readonly session: Session;
  private readonly importModule: Import;
  private readonly openJob: (job: number) => void;
  private readonly signal: AbortSignal;
  private readonly views = new Map<TabName, Panel>();
  private make: ((name: ViewName) => Panel) | null = null;
  private chosen: TabName = "graph";
  private run: Run | null = null;
  private marked: number | null = null;
  private asking = false;

  constructor(
    graph: HTMLElement,
    session: Session,
    importModule: Import,
    openJob: (job: number) => void,
    signal: AbortSignal,
  ) {
    this.session = session;
    this.importModule = importModule;
    this.openJob = openJob;
    this.signal = signal;
    const id = `hbj-${++nMade}`;
    this.tabs = TITLES.map(([name, title]) => this.tab(id, name, title));
    this.tabs[0]?.panel.append(graph);
    this.element = element("div", "hbj-views", {}, this.list, ...this.tabs.map(({ panel }) => panel));
    this.list.addEventListener("keydown", (event) => this.onKey(event), { signal });
    this.choose("graph");
  }

  /** Shows the run in the view that is open; the others follow when they are opened. */
  update(run: Run): void {
    const begins = !this.run;
    this.run = run;
    if (begins) this.choose(this.chosen);
    else this.views.get(this.chosen)?.update(run);
  }

  /** Marks a job in the view that is open; null for none. */
  mark(job: number | null): void {
    this.marked = job;
    this.views.get(this.chosen)?.mark?.(job);
  }

  private tab(id: string, name: TabName, title: string): Tab {
    const attributes = {
      type: "button",
      role: "tab",
      id: `${id}-${name}`,
      "aria-controls": `${id}-${name}-panel`,
    };
    const button = element("button", "hbj-tab", attributes, title);
    button.addEventListener("click", () => this.choose(name), { signal: this.signal });
    this.list.append(button);
    const panel = element("div", "hbj-tabpanel", {
      role: "tabpanel",
      id: `${id}-${name}-panel`,
      "aria-labelledby": `${id}-${name}`,
    });
    return { name, button, panel };
  }

  choose(name: TabName): void {
    this.chosen = name;
    for (const tab of this.tabs) {
      const chosen = tab.name === name;
      setAttribute(tab.button, "aria-selected", String(chosen));
      tab.button.tabIndex = chosen ? 0 : -1;
      setHidden(tab.panel, !chosen);
    }
    const root = this.element?.closest<HTMLElement>(".hbj-root");
    if (root) root.dataset.view = name;
    if (name !== "graph") this.open(name);
  }

  private open(name: ViewName): void {
    if (!this.run) return;
    if (!this.make) {
      this.load();
      return;
    }
    let view = this.views.get(name);
    if (!view) {
      view = this.make(name);
      this.views.set(name, view);
      this.panelOf(name)?.replaceChildren(view.element);
    }
    view.update(this.run);
    view.mark?.(this.marked);
  }

  private panelOf(name: TabName): HTMLElement | undefined {
    return this.tabs.find((tab) => tab.name === name)?.panel;
  }

  private load(): void {
    this.say("Asking the kernel for this view…");
    if (this.asking) return;
    this.asking = true;
    const slow = setTimeout(
      () => this.say("The kernel is busy; the view comes when the running cell ends."),
      SLOW_MS,
    );
    const ended = (): void => {
      clearTimeout(slow);
      this.asking = false;
    };
    const loaded = (views: Loaded): void => {
      ended();
      this.take(views);
    };
    const failed = (text: string): void => {
      ended();
      this.say(text);
    };
    const forget = loadViews(this.session, this.importModule, loaded, failed);
    this.signal.addEventListener("abort", () => [clearTimeout(slow), forget()], { once: true });
  }

  private say(text: string): void {
    for (const { name, panel } of this.tabs.slice(1)) {
      if (!panel.firstChild) panel.append(element("div", "hbj-waiting hbj-rest", { role: "status" }));
      if (!this.views.has(name) && panel.firstElementChild) setText(panel.firstElementChild, text);
    }
  }

  private take({ make, style }: Loaded): void {
    if (!this.run || this.signal.aborted) return;
    this.element.append(style);
    const host = { ask: this.session.ask.bind(this.session), openJob: this.openJob };
    this.make = make(host, this.run, this.signal);
    this.choose(this.chosen);
  }

  private onKey(event: KeyboardEvent): void {
    if (isHeld(event)) return;
    const at = this.tabs.findIndex(({ name }) => name === this.chosen);
    const last = this.tabs.length - 1;
    const next: Record<string, number> = {
      ArrowLeft: at === 0 ? last : at - 1,
      ArrowRight: at === last ? 0 : at + 1,
      Home: 0,
      End: last,
    };
    const tab = this.tabs[next[event.key] ?? -1];
    if (!tab) return;
    event.preventDefault();
    this.choose(tab.name);
    tab.button.focus();
  }
}
