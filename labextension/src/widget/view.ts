/** One view of a session: puts the parts together and redraws them, once a frame at most. */

import { DagView } from "../dag/view";
import { element, setHidden } from "../dom";
import type { Run } from "../runs";
import { Failures } from "./failures";
import { Header } from "./header";
import type { Import } from "./loader";
import { textMeasure } from "./measure";
import { Progress } from "./progress";
import type { Session } from "./session";
import { Sheets } from "./sheets";
import { Tabs } from "./tabs";
import { watchVisible } from "./visible";

const TICK_MS = 1000;

/** Keys that mean something here; JupyterLab's shortcuts for them are off while they are pressed here. */
const OWN_KEYS = ["Enter", " ", "Escape", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

export class View {
  readonly element: HTMLElement;
  private readonly session: Session;
  private readonly stop = new AbortController();
  private readonly waiting = element("div", "hbj-waiting", { role: "status" }, "Waiting for the kernel…");
  private readonly header: Header;
  private readonly progress = new Progress();
  private readonly dag: DagView;
  private readonly tabs: Tabs;
  private readonly sheets: Sheets;
  private readonly failures: Failures;
  private readonly ticking: ReturnType<typeof setInterval>;
  private drawn: Run | null = null;
  private frame = 0;

  constructor(session: Session, importModule: Import) {
    const { signal } = this.stop;
    this.session = session;
    this.header = new Header(session, signal);
    this.element = element("div", "hbj-root", { "data-state": "waiting" });
    this.dag = new DagView(
      (node) => this.drawn && this.sheets.toggle(this.drawn, node),
      textMeasure(this.element),
      signal,
    );
    this.sheets = new Sheets(session, (stack) => this.dag.setOpen(stack), signal);
    const openJob = (job: number): void => {
      if (this.drawn) this.sheets.openJob(this.drawn, job);
    };
    this.tabs = new Tabs(this.dag.element, session, importModule, openJob, signal);
    this.failures = new Failures(openJob, signal);
    const parts = [this.progress, this.tabs, this.sheets, this.failures].map((part) => part.element);
    this.element.append(this.header.element, this.waiting, ...parts);
    this.show(false);
    const unsubscribe = session.subscribe(() => this.schedule());
    signal.addEventListener("abort", unsubscribe, { once: true });
    this.ticking = setInterval(() => this.tick(), TICK_MS);
    this.listenToKeys(signal);
    watchVisible(this.element, (visible) => session.setVisible(this, visible), signal);
    this.schedule();
    session.hello();
  }

  dispose(): void {
    this.stop.abort();
    clearInterval(this.ticking);
    cancelAnimationFrame(this.frame);
    this.session.setVisible(this, null);
    this.element.remove();
  }

  private schedule(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  private paint(): void {
    const { run } = this.session;
    if (!run) {
      this.header.updateTrouble();
      setHidden(this.waiting, this.session.trouble.text !== "");
      return;
    }
    if (!this.drawn) this.show(true);
    if (this.drawn && this.drawn !== run && !this.drawn.sameGraph(run)) this.sheets.closeAll();
    this.drawn = run;
    this.element.dataset.state = run.clock.state;
    this.header.update(run);
    this.progress.update(run);
    this.dag.update(run);
    this.tabs.update(run);
    this.failures.update(run);
    this.sheets.update(run);
  }

  /** Before the first snapshot there is but one line. */
  private show(all: boolean): void {
    for (const part of [this.progress, this.tabs, this.sheets]) setHidden(part.element, !all);
    this.header.show(all);
    setHidden(this.waiting, all);
    if (!all) setHidden(this.failures.element, true);
  }

  private tick(): void {
    const { run } = this.session;
    if (run && !run.clock.complete) this.header.tick(run);
  }

  private listenToKeys(signal: AbortSignal): void {
    this.element.addEventListener("keydown", (event) => this.onEscape(event), { signal });
    // JupyterLab looks at keys on the document while they travel down; only the window is earlier.
    const beforeJupyter = (event: KeyboardEvent): void => {
      const inside = event.target instanceof Node && this.element.contains(event.target);
      const own =
        OWN_KEYS.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
      this.element.toggleAttribute("data-lm-suppress-shortcuts", inside && own);
    };
    window.addEventListener("keydown", beforeJupyter, { signal, capture: true });
  }

  private onEscape(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (this.sheets.closeOne()) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    // Nothing left to close: the notebook gets its keys back.
    this.element.closest<HTMLElement>(".jp-Notebook")?.focus();
  }
}
