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

/** What was asked for, granted and used; null where nothing was said, counted or seen; below zero: at most so much. */
export type Use = [asked: number | null, granted: number | null, used: number | null];

export interface AttemptDetail {
  number: number;
  state: string;
  exit_code: number | null;
  reason: string;
  started_ms: number | null;
  ended_ms: number | null;
  cores_used: number | null;
  /** Below zero: at most so much. */
  peak_bytes: number | null;
}

export interface JobDetail {
  /** Its number in the run, by which deeds name it. */
  job_id: number;
  name: string;
  /** From the outside in. */
  groups: string[];
  state: string;
  exit_code: number | null;
  reason: string;
  /** Of a job that was cancelled because of another: that one. */
  blamed: { job: number; name: string } | null;
  command: string;
  image: string;
  inputs: string[];
  outputs: string[];
  /** Names of variables; their values are told to nobody. */
  env: string[];
  always_run: boolean;
  ready_ms: number | null;
  started_ms: number | null;
  ended_ms: number | null;
  use: { cores: Use; memory_bytes: Use; gpus: string[] };
  hint: string;
  attempts: AttemptDetail[];
  /** The logs that are not empty: attempt, and its containers. */
  logs: [attempt: number, containers: string[]][];
  log_path: string;
  /** Of a result that was taken over: the run whose log is shown ("" when it is gone), and what is said of it. */
  log_of: { run: string; text: string } | null;
  /** "" for what may be done now, else why not; null where it makes no sense. */
  deeds: { cancel: string | null; retry: string | null };
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

/** What became of a deed; `run` is the new run of a retry. */
export interface Answer {
  kind: "answer";
  request: number;
  ok: boolean;
  text: string;
  run?: string;
}

/** Moments of a job's last attempt: u32 ms after `base_ms`, NO_TIME for none. */
export const TIME_COLUMNS = ["ready", "started", "main", "output", "ended"] as const;

/**
 * Numbers of a job, four bytes each: i32 slot, attempt, exit (-1 none), group (0 none), rss and memory asked for in KiB
 * (0 unknown; rss below 0: at most so much), cores granted, else asked for, in thousandths (0 unsaid); f32 cpu seconds (-1 unknown), cost in dollars.
 */
export const INTEGER_COLUMNS = ["slot", "attempt", "exit", "group"] as const;
export const SIZE_COLUMNS = ["rss", "cores", "memory"] as const;
export const REAL_COLUMNS = ["cpu", "cost"] as const;

export const NO_TIME = 0xffff_ffff;

export type ColumnName =
  | (typeof TIME_COLUMNS)[number]
  | (typeof INTEGER_COLUMNS)[number]
  | (typeof SIZE_COLUMNS)[number]
  | (typeof REAL_COLUMNS)[number];

/** Columns of the first `count` of the jobs asked for, one after another in the one buffer; for the rest ask on. */
export interface ColumnsAnswer {
  kind: "columns";
  request: number;
  names: ColumnName[];
  base_ms: number;
  count: number;
  deflate: boolean;
}

/** The module of the views, `script` bytes of the buffer, and its style sheet. */
export interface ViewsAnswer {
  kind: "views";
  request: number;
  script: number;
  deflate: boolean;
}

/** A part of a log from byte `start` on; `size` is that of the whole. */
export interface LogAnswer {
  kind: "log";
  request: number;
  job: number;
  start: number;
  size: number;
}

/** Where a text begins in a log, null where it was not seen up to the byte `until`. */
export interface FindAnswer {
  kind: "find";
  request: number;
  job: number;
  at: number | null;
  until: number;
  size: number;
}

/** Groups of jobs, numbered from 1; `parent` is 0 for one of the run itself. */
export interface GroupName {
  name: string;
  parent: number;
}

export interface GroupsAnswer {
  kind: "groups";
  request: number;
  groups: GroupName[];
}

export type Reply = JobAnswer | Answer | ColumnsAnswer | ViewsAnswer | LogAnswer | FindAnswer | GroupsAnswer;
export type KernelMessage = Snapshot | Changes | Reply;

/** What a view asks beside the graph; the session numbers the requests. */
export type Question =
  | { kind: "job"; job: number }
  | { kind: "columns"; names: ColumnName[]; first: number; count: number }
  | { kind: "columns"; names: ColumnName[]; jobs: number[] }
  | ({ kind: "log"; start: number; length: number } & LogName)
  | ({ kind: "find"; text: string; start: number; back: boolean } & LogName)
  | { kind: "groups" }
  | { kind: "views" };

/** One log of a job; without an attempt that of the last one. */
export interface LogName {
  job: number;
  attempt?: number;
  container?: string;
}

/** About the run, or its jobs of these numbers, or a group. */
export type Deed =
  | { kind: "cancel"; job_ids?: number[]; group?: string }
  | { kind: "retry"; job_ids?: number[] };

export type BrowserMessage =
  | { kind: "hello"; version: number }
  | { kind: "need" }
  | { kind: "visible"; visible: boolean }
  | (Question & { request: number })
  | (Deed & { request: number });

/** The window events between the widget and JupyterLab's extension. */
export const REQUEST_EVENT = "hail-batch-jupyter:request";
export const ANSWER_EVENT = "hail-batch-jupyter:answer";

/** JupyterLab's command that opens a run in a tab of the main area, given as `run` and `name`. */
export const OPEN = "hail-batch-jupyter:open-run";

/** Said on the window when a run is shown in a notebook: there may be a new one. */
export const SHOWN_EVENT = "hail-batch-jupyter:shown";

/** Cancel and retry are about the run, or its jobs `job_ids`, or its `group`; ask is one question; open shows the run in a tab. */
export interface BridgeRequest {
  version: number;
  request: string;
  run: string;
  action: "cancel" | "retry" | "ask" | "open";
  job_ids?: number[];
  group?: string;
  question?: Question & { request: number };
}

/** `run` is the new run of a retry; `content` and `bytes` are the reply to a question. */
export interface BridgeAnswer {
  version: number;
  request: string;
  ok: boolean;
  text: string;
  run?: string;
  content?: Reply;
  bytes?: Uint8Array;
}

/** A run as the server lists it for the panel. */
export interface RunRow {
  /** Of a run of this machine, or "712", the number of a batch of the service. */
  run_id: string;
  name: string;
  backend: string;
  created_ms: number;
  ended_ms: number | null;
  n_jobs: number;
  /** Jobs in each state, in the order of STATE_NAMES; null until the server has read the run's journal. */
  counts: number[] | null;
  state: BatchState;
  complete: boolean;
  lost: boolean;
  cancelling: boolean;
  /** The notebook that made it as a path of the server's machine, or "". */
  notebook: string;
  /** The same below the server's own folder, "" when it is not there. */
  notebook_path: string;
  /** The cell in it, by its id, or "". */
  cell: string;
  /** What it has cost so far; null while that is not known. */
  cost_usd: number | null;
  /** Its page, for a batch of a service that has one, else "". */
  url: string;
}

/** The server's answer about all runs; `now_ms` is its time. */
export interface RunList {
  now_ms: number;
  runs: RunRow[];
}

/** A page of the user's batches on the batch service. */
export interface ServicePage extends RunList {
  /** Host of the service, "" when none is configured. */
  service: string;
  /** Why it could not be asked, or "". */
  trouble: string;
  /** Asks for the batches before these; null when there are none. */
  next: number | null;
}

/** What batches are made with where nothing else is said, as in the user's configuration file. */
export interface DefaultSetting {
  name: string;
  meaning: string;
  /** "" when the file says nothing. */
  value: string;
  /** The variable of the environment that counts instead, or "". */
  variable: string;
  choices: string[];
  /** Whether nothing but the choices is valid. */
  closed: boolean;
}

export interface DefaultSettings {
  /** The configuration file. */
  file: string;
  settings: DefaultSetting[];
}

/** One message of the widget's protocol by HTTP; `buffer` is base64. */
export interface Letter {
  content: KernelMessage;
  buffer: string | null;
}
