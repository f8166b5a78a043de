/** What the widget and the views that it loads know of each other. */

import type { Deed, Question, Reply } from "../contract";
import type { Run } from "../runs";

export type ViewName = "timeline" | "jobs" | "resources";

/** How far a deed has come; `run` is the new run of a retry. */
export interface Report {
  text: string;
  done: boolean;
  run?: string | undefined;
}

export interface Host {
  /** Asks the kernel, or the server where the kernel is busy; gives what forgets the question. */
  ask(question: Question, hear: (reply: Reply, bytes: Uint8Array) => void): () => void;
  /** Carries a deed out, once. */
  carryOut(deed: Deed, told: (report: Report) => void): void;
  /** Shows another run in a tab of JupyterLab; false where that cannot be. */
  openRun(run: string): boolean;
  /** Shows the details of a job below. */
  openJob(job: number): void;
}

/** One view, in a tab or in a job's sheet; what it drew last stays while it is hidden. */
export interface Panel {
  readonly element: HTMLElement;
  /** Shows the run; called once a frame at most, and only while the view is shown. */
  update(run: Run): void;
  /** Marks a job that was chosen elsewhere; null for none. */
  mark?(job: number | null): void;
}

export interface Views {
  panel(name: ViewName): Panel;
  /** What is in the sheet of a job, until `signal` is aborted. */
  job(job: number, signal: AbortSignal): Panel;
}

/** The default export of the module of the views; called once for each place where the widget is shown. */
export type MakeViews = (host: Host, run: Run, signal: AbortSignal) => Views;
