/** The wire's types, version 1: custom messages between the kernel's widget and the browser. */

export const VERSION = 1;

export type BatchState = "open" | "running" | "success" | "failure" | "cancelled";

export interface Clock {
  state: BatchState;
  complete: boolean;
  /** Its runner ended before it: nobody cancelled what was cancelled. */
  lost: boolean;
  started_ms: number | null;
  ended_ms: number | null;
  /** The kernel's time when the message was made, in ms since 1970. */
  now_ms: number;
  cost_usd: number;
  cost_text: string;
  cancelling: boolean;
}

export interface RunHead {
  id: string;
  name: string;
  backend: string;
  runs_on: string;
  clock: Clock;
  /** One line under the title, or "". */
  note: string;
}

/** A failed job as the widget lists it; `tail` is the end of its log. */
export interface Failure {
  job: number;
  name: string;
  state: string;
  exit_code: number | null;
  reason: string;
  tail: string;
}

export interface JobDetail {
  name: string;
  state: string;
  exit_code: number | null;
  reason: string;
  command: string;
  inputs: string[];
  outputs: string[];
  started_ms: number | null;
  ended_ms: number | null;
  max_rss_bytes: number | null;
  tail: string;
  log_path: string;
}

export interface Stage {
  name: string;
  count: number;
}

/** Offset and length in bytes, in the inflated body. */
export type Section = [offset: number, length: number];

/** Everything at once; one buffer carries the sections src, dst (u32), stage (u16), state (u8), names (utf-8). */
export interface Snapshot {
  kind: "snapshot";
  version: number;
  seq: number;
  run: RunHead;
  /** Number of jobs. */
  n: number;
  /** Number of edges. */
  m: number;
  stages: Stage[];
  failures: Failure[];
  sections: { src: Section; dst: Section; stage: Section; state: Section; names: Section };
  deflate: boolean;
}

/** What moved since `from`; one buffer carries jobs and states, one by one or as ranges. */
export interface Changes {
  kind: "changes";
  from: number;
  seq: number;
  clock: Clock;
  failures: Failure[];
  form: "single" | "ranges";
  k: number;
}

export interface JobAnswer {
  kind: "job";
  request: number;
  job: number;
  detail: JobDetail;
}

export interface Answer {
  kind: "answer";
  request: number;
  ok: boolean;
  text: string;
}

export type KernelMessage = Snapshot | Changes | JobAnswer | Answer;

export type BrowserMessage =
  | { kind: "hello"; version: number }
  | { kind: "need" }
  | { kind: "visible"; visible: boolean }
  | { kind: "job"; request: number; job: number }
  | { kind: "cancel"; request: number };

/** The window events between the widget and JupyterLab's extension. */
export const REQUEST_EVENT = "hail-batch-jupyter:request";
export const ANSWER_EVENT = "hail-batch-jupyter:answer";

export interface BridgeRequest {
  version: number;
  request: string;
  run: string;
  action: "cancel";
}

export interface BridgeAnswer {
  version: number;
  request: string;
  ok: boolean;
  text: string;
}
