/** Columns of all jobs, asked of the kernel when a view needs them and kept up to date while it is shown. No DOM. */

import {
  type ColumnName,
  type ColumnsAnswer,
  INTEGER_COLUMNS,
  NO_TIME,
  type Question,
  type Reply,
  SIZE_COLUMNS,
  TIME_COLUMNS,
} from "../contract";
import type { Run } from "../runs";
import type { Host } from "./host";

/** Between two questions about jobs that moved, in ms. */
export const AGAIN_MS = 1000;

/** Jobs asked for one by one; when more moved all are asked for. */
const MAX_SINGLE = 4000;

/** Running jobs above this number are asked for only when their state changes. */
const MAX_WATCHED = 500;

const RUNNING = 3;
/** No job has this state: it is still to be asked for. */
const UNSEEN = 255;

export class Columns {
  /** Grows with each answer. */
  version = 0;
  /** "" when all is well. */
  trouble = "";
  readonly #host: Host;
  readonly #told: () => void;
  readonly #known = new Map<ColumnName, Float64Array>();
  readonly #wanted: ColumnName[] = [];
  /** State of each job when it was asked for. */
  readonly #seen: Uint8Array;
  #run: Run;
  #missing: { names: ColumnName[]; first: number } | null = null;
  #forget: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  /** `told` is called after each answer. */
  constructor(host: Host, run: Run, told: () => void, signal: AbortSignal) {
    this.#host = host;
    this.#told = told;
    this.#run = run;
    this.#seen = new Uint8Array(run.n).fill(UNSEEN);
    signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /** NaN for a job of which it is not known (yet). */
  value(name: ColumnName, job: number): number {
    return this.#known.get(name)?.[job] ?? Number.NaN;
  }

  /** Whether every job has been asked for its `names` at least once. */
  has(names: readonly ColumnName[]): boolean {
    return names.every((name) => this.#known.has(name) && !this.#missing?.names.includes(name));
  }

  /** Called with each new state of the run by the view that is shown: asks for what it needs and what moved. */
  update(run: Run, names: readonly ColumnName[]): void {
    this.#run = run;
    for (const name of names) if (!this.#wanted.includes(name)) this.#wanted.push(name);
    if (this.#forget) return;
    const lacking = this.#wanted.filter((name) => !this.#known.has(name));
    if (lacking.length > 0) this.#begin(lacking);
    else if (this.#missing) this.#askWindow();
    else this.#askMoved();
  }

  #begin(names: ColumnName[]): void {
    for (const name of names) this.#known.set(name, new Float64Array(this.#run.n).fill(Number.NaN));
    this.#missing = { names: this.#missing ? [...this.#wanted] : names, first: 0 };
    this.#askWindow();
  }

  #askWindow(): void {
    const missing = this.#missing;
    const run = this.#run;
    if (!missing) return;
    const { names, first } = missing;
    this.#seen.set(run.state.subarray(first), first);
    this.#ask({ kind: "columns", names, first, count: run.n - first }, (answer, bytes) => {
      this.#take(answer, bytes, (index) => first + index);
      missing.first = first + Math.max(1, answer.count);
      if (missing.first >= run.n) this.#missing = null;
      else this.#askWindow();
    });
  }

  #askMoved(): void {
    const jobs = this.#moved();
    if (jobs.length === 0) return;
    const waitMs = this.#askedMs + AGAIN_MS - Date.now();
    if (waitMs > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.update(this.#run, []), waitMs);
      return;
    }
    if (jobs.length > MAX_SINGLE) {
      this.#missing = { names: [...this.#wanted], first: 0 };
      this.#askWindow();
      return;
    }
    for (const job of jobs) this.#seen[job] = this.#run.state[job] ?? 0;
    this.#ask({ kind: "columns", names: [...this.#wanted], jobs }, (answer, bytes) => {
      this.#take(answer, bytes, (index) => jobs[index] ?? 0);
      for (const job of jobs.slice(answer.count)) this.#seen[job] = UNSEEN;
    });
  }

  /** Jobs in another state than when they were asked for, and those that run. */
  #moved(): number[] {
    const run = this.#run;
    const seen = this.#seen;
    const jobs: number[] = [];
    const watched = (run.counts[RUNNING] ?? 0) <= MAX_WATCHED && !run.clock.complete;
    for (let job = 0; job < run.n; job++) {
      const code = run.state[job];
      if (code !== seen[job] || (watched && code === RUNNING)) jobs.push(job);
    }
    return jobs;
  }

  #ask(question: Question, hear: (answer: ColumnsAnswer, bytes: Uint8Array) => void): void {
    this.#askedMs = Date.now();
    this.#forget = this.#host.ask(question, (reply: Reply, bytes) => {
      this.#forget = null;
      this.trouble = reply.kind === "columns" ? "" : "The kernel does not know these columns; restart it.";
      if (reply.kind === "columns") hear(reply, bytes);
      this.version++;
      this.#told();
    });
  }

  #take(answer: ColumnsAnswer, bytes: Uint8Array, jobAt: (index: number) => number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    answer.names.forEach((name, at) => {
      const column = this.#known.get(name);
      const read = reader(name, answer.base_ms);
      if (!column) return;
      for (let index = 0; index < answer.count; index++) {
        column[jobAt(index)] = read(view, 4 * (at * answer.count + index));
      }
    });
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#forget?.();
  }
}

type Read = (view: DataView, offset: number) => number;

function isOf(names: readonly string[], name: ColumnName): boolean {
  return names.includes(name);
}

/** How four bytes of a column are read; what is unknown becomes NaN. */
function reader(name: ColumnName, baseMs: number): Read {
  if (isOf(TIME_COLUMNS, name))
    return (view, offset) => unless(NO_TIME, view.getUint32(offset, true)) + baseMs;
  if (isOf(INTEGER_COLUMNS, name)) return (view, offset) => unless(-1, view.getInt32(offset, true));
  if (isOf(SIZE_COLUMNS, name)) return (view, offset) => unless(0, view.getInt32(offset, true));
  return (view, offset) => unless(-1, view.getFloat32(offset, true));
}

function unless(none: number, value: number): number {
  return value === none ? Number.NaN : value;
}
