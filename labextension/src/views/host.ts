/** What the widget and the views that it loads know of each other. */

import type { Question, Reply } from "../contract";
import type { Run } from "../runs";

export type ViewName = "timeline" | "jobs" | "resources";

export interface Host {
  /** Asks the kernel; gives what forgets the question. */
  ask(question: Question, hear: (reply: Reply, bytes: Uint8Array) => void): () => void;
  /** Shows the details of a job below. */
  openJob(job: number): void;
}

/** One view, in a tab; what it drew last stays while it is hidden. */
export interface Panel {
  readonly element: HTMLElement;
  /** Shows the run; called once a frame at most, and only while the view is shown. */
  update(run: Run): void;
  /** Marks a job that was chosen elsewhere; null for none. */
  mark?(job: number | null): void;
}

/** The default export of the module of the views; called once for each place where the widget is shown. */
export type MakeViews = (host: Host, run: Run, signal: AbortSignal) => (name: ViewName) => Panel;
