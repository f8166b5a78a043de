/** What is opened below the graph: the jobs of one stack, the details of one job. Each has its own end. */

import type { VisibleNode } from "../dag/collapse";
import { element } from "../dom";
import type { Run } from "../runs";
import { Details } from "./details";
import { Grid } from "./grid";
import type { Loader } from "./loader";
import type { Session } from "./session";

interface Open<T> {
  view: T;
  stop: AbortController;
  /** Takes the focus back when the sheet closes. */
  opener: Element | null;
}

export class Sheets {
  readonly element = element("div", "hbj-sheets");
  /** Told which job's details are opened. */
  onJob: (job: number) => void = () => {};
  readonly #session: Session;
  readonly #loader: Loader;
  readonly #onStack: (open: VisibleNode | null) => void;
  #stack: VisibleNode | null = null;
  #grid: Open<Grid> | null = null;
  #details: Open<Details> | null = null;

  constructor(
    session: Session,
    loader: Loader,
    onStack: (open: VisibleNode | null) => void,
    signal: AbortSignal,
  ) {
    this.#session = session;
    this.#loader = loader;
    this.#onStack = onStack;
    signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  update(run: Run): void {
    this.#grid?.view.update(run);
    this.#details?.view.update(run);
  }

  /** Opens a stack or a job; the stack that is open is closed. */
  toggle(run: Run, node: VisibleNode): void {
    if (node.kind === "job") this.openJob(run, node.job);
    else if (this.#stack?.stages[0] === node.stages[0]) this.#closeGrid();
    else this.#openGrid(run, node);
  }

  openJob(run: Run, job: number): void {
    const opener = this.#details?.opener?.isConnected ? this.#details.opener : null;
    if (this.#details?.view.job === job) {
      this.#closeDetails();
      return;
    }
    this.#drop(this.#details);
    const stop = new AbortController();
    const close = (): void => this.#closeDetails();
    const view = new Details(this.#loader, job, run.name(job), close, stop.signal);
    this.#details = { view, stop, opener: active(this.element) ?? opener };
    this.element.append(view.element);
    view.update(run);
    view.focus();
    this.#grid?.view.mark(job);
    this.onJob(job);
  }

  /** Closes the innermost sheet; false when there was none. */
  closeOne(): boolean {
    if (this.#details) this.#closeDetails();
    else if (this.#grid) this.#closeGrid();
    else return false;
    return true;
  }

  /** Forgets everything that is open, as when another graph comes. */
  closeAll(): void {
    this.#stop();
    this.#setStack(null);
  }

  #openGrid(run: Run, node: VisibleNode): void {
    this.#drop(this.#grid);
    const stop = new AbortController();
    const on = {
      choose: (job: number) => this.openJob(this.#session.run ?? run, job),
      close: () => this.#closeGrid(),
    };
    const view = new Grid(run, jobsOf(run, node), node.label, on, stop.signal);
    this.#grid = { view, stop, opener: active(this.element) };
    this.#setStack(node);
    this.element.prepend(view.element);
    view.mark(this.#details?.view.job ?? null);
  }

  #closeGrid(): void {
    const opener = this.#grid?.opener;
    this.#drop(this.#grid);
    this.#grid = null;
    this.#setStack(null);
    refocus(opener);
  }

  #closeDetails(): void {
    const opener = this.#details?.opener;
    this.#drop(this.#details);
    this.#details = null;
    this.#grid?.view.mark(null);
    refocus(opener);
  }

  #setStack(stack: VisibleNode | null): void {
    this.#stack = stack;
    this.#onStack(stack);
  }

  #stop(): void {
    this.#drop(this.#grid);
    this.#drop(this.#details);
    this.#grid = null;
    this.#details = null;
  }

  #drop(open: Open<Grid | Details> | null): void {
    open?.stop.abort();
    open?.view.element.remove();
  }
}

function refocus(opener: Element | null | undefined): void {
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
}

/** The focused element, also inside a shadow root. */
function active(near: Element): Element | null {
  const root: Node & Partial<DocumentOrShadowRoot> = near.getRootNode();
  return root.activeElement ?? null;
}

function jobsOf(run: Run, node: VisibleNode): Uint32Array {
  const wanted = new Set(node.stages);
  const jobs = new Uint32Array(node.count);
  let at = 0;
  run.stage.forEach((stage, job) => {
    if (wanted.has(stage)) jobs[at++] = job;
  });
  return jobs;
}
