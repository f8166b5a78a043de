/** One view of a session: puts the parts together and redraws them, once a frame at most. */

import { isHeld, isKey } from "../dag/keys";
import { DagView } from "../dag/view";
import { element, setHidden } from "../dom";
import type { Run } from "../runs";
import type { Host } from "../views/host";
import { Failures } from "./failures";
import { Header } from "./header";
import { type Import, Loader } from "./loader";
import { textMeasure } from "./measure";
import type { Model } from "./model";
import { Progress } from "./progress";
import type { Session } from "./session";
import { Sheets } from "./sheets";
import { isTab, Tabs } from "./tabs";
import { watchVisible } from "./visible";

const TICK_MS = 1000;

/** Keys that mean something here beside those that move; JupyterLab's shortcuts for them are off while they are pressed here. */
const OWN_KEYS = ["Enter", " ", "Escape"];

const SELECTED = "change:selected_job";

export class View {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #stop = new AbortController();
  readonly #waiting = element("div", "hbj-waiting", { role: "status" }, "Waiting for the kernel…");
  readonly #header: Header;
  readonly #progress = new Progress();
  readonly #dag: DagView;
  readonly #tabs: Tabs;
  readonly #sheets: Sheets;
  readonly #failures: Failures;
  readonly #ticking: ReturnType<typeof setInterval>;
  readonly #model: Model | null;
  /** The one view that this is, "" for all of them. */
  readonly #only: string;
  #drawn: Run | null = null;
  #frame = 0;
  #wanted: number | null = null;

  /** The model's traits say which view this is, and which job is chosen. */
  constructor(session: Session, importModule: Import, model: Model | null = null) {
    const { signal } = this.#stop;
    this.#model = model;
    this.#only = String(model?.get?.("view") ?? "");
    this.#session = session;
    this.#header = new Header(session, signal);
    this.element = element("div", "hbj-root", { "data-state": "waiting" });
    this.#dag = new DagView(
      (node) => this.#drawn && this.#sheets.toggle(this.#drawn, node),
      textMeasure(this.element),
      signal,
    );
    const openJob = (job: number): void => this.openJob(job);
    const host: Host = {
      ask: (question, hear) => session.ask(question, hear),
      carryOut: (deed, told) => session.carryOut(deed, told),
      openRun: (run) => session.openRun(run),
      openJob,
    };
    const loader = new Loader(session, importModule, host, this.element, signal);
    this.#sheets = new Sheets(session, loader, (stack) => this.#dag.setOpen(stack), signal);
    this.#sheets.onJob = (job) => this.#choose(job);
    this.#tabs = new Tabs(this.#dag.element, loader, signal);
    this.#failures = new Failures(openJob, signal);
    const parts = [this.#progress, this.#tabs, this.#sheets, this.#failures].map((part) => part.element);
    this.element.append(this.#header.element, this.#waiting, ...parts);
    this.#show(false);
    if (this.#only) this.element.dataset.only = this.#only;
    if (isTab(this.#only)) this.#tabs.choose(this.#only);
    model?.on(SELECTED, this.#onSelected);
    const unsubscribe = session.subscribe(() => this.#schedule());
    signal.addEventListener("abort", unsubscribe, { once: true });
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#listenToKeys(signal);
    watchVisible(this.element, (visible) => session.setVisible(this, visible), signal);
    this.#schedule();
    session.hello();
  }

  dispose(): void {
    this.#stop.abort();
    clearInterval(this.#ticking);
    cancelAnimationFrame(this.#frame);
    this.#model?.off(SELECTED, this.#onSelected);
    this.#session.setVisible(this, null);
    this.element.remove();
  }

  /** Shows the details of a job, now or when the run is there. */
  openJob(job: number): void {
    if (this.#drawn) this.#sheets.openJob(this.#drawn, job);
    else this.#wanted = job;
  }

  #choose(job: number): void {
    this.#model?.set?.("selected_job", job);
    this.#model?.save_changes?.();
  }

  /** Marks the job that was chosen here, in a linked view, or by the kernel. */
  readonly #onSelected = (): void => {
    const chosen = this.#model?.get?.("selected_job");
    const job = typeof chosen === "number" ? chosen : null;
    this.#dag.mark(job);
    this.#tabs.mark(job);
  };

  #schedule(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint(): void {
    const { run } = this.#session;
    if (!run) {
      this.#header.updateTrouble();
      setHidden(this.#waiting, this.#session.trouble.text !== "");
      return;
    }
    const first = !this.#drawn;
    if (first) this.#show(true);
    if (this.#drawn && this.#drawn !== run && !this.#drawn.sameGraph(run)) this.#sheets.closeAll();
    this.#drawn = run;
    this.element.dataset.state = run.clock.state;
    this.#header.update(run);
    this.#progress.update(run);
    if (!this.#only || this.#only === "graph") this.#dag.update(run);
    this.#tabs.update(run);
    this.#failures.update(run);
    this.#sheets.update(run);
    if (!first) return;
    this.#onSelected();
    if (this.#wanted !== null) this.openJob(this.#wanted);
  }

  /** Before the first snapshot there is but one line. */
  #show(all: boolean): void {
    for (const part of [this.#progress, this.#tabs, this.#sheets]) setHidden(part.element, !all);
    this.#header.show(all);
    setHidden(this.#waiting, all);
    if (!all) setHidden(this.#failures.element, true);
  }

  #tick(): void {
    const { run } = this.#session;
    if (run && !run.clock.complete) this.#header.tick(run);
  }

  #listenToKeys(signal: AbortSignal): void {
    this.element.addEventListener("keydown", (event) => this.#onEscape(event), { signal });
    // JupyterLab looks at keys on the document while they travel down; only the window is earlier.
    const beforeJupyter = (event: KeyboardEvent): void => {
      const inside = event.target instanceof Node && this.element.contains(event.target);
      const own = (isKey(event.key) || OWN_KEYS.includes(event.key)) && !isHeld(event);
      this.element.toggleAttribute("data-lm-suppress-shortcuts", inside && own);
    };
    window.addEventListener("keydown", beforeJupyter, { signal, capture: true });
  }

  #onEscape(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (this.#sheets.closeOne()) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    // Nothing left to close: the notebook gets its keys back.
    this.element.closest<HTMLElement>(".jp-Notebook")?.focus();
  }
}
