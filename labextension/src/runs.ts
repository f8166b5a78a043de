/** One run as the browser knows it: the graph, a state for each job, counts kept up to date. No DOM. */

import type { Changes, Clock, Failure, RunHead, Snapshot, Stage } from "./contract";
import { type Body, eachChange, readBody } from "./decode";
import { N_STATES, type StateName, stateIndex, stateName } from "./states";

export type Outcome = "applied" | "old" | "gap";

export class Run {
  readonly head: RunHead;
  readonly n: number;
  readonly stages: readonly Stage[];
  readonly src: Uint32Array;
  readonly dst: Uint32Array;
  /** Index in `stages` of each job. */
  readonly stage: Uint16Array;
  /** Code of each job, as on the wire. */
  readonly state: Uint8Array;
  /** Jobs in each state, N_STATES numbers. */
  readonly counts = new Uint32Array(N_STATES);
  /** The same for each stage, one after another. */
  readonly stageCounts: Uint32Array;
  seq: number;
  clock: Clock;
  failures: readonly Failure[];
  /** The kernel's clock minus this one's, in ms. */
  #offsetMs: number;
  readonly #nameBytes: Uint8Array;
  #names: string[] | null = null;

  private constructor(snapshot: Snapshot, body: Body, nowMs: number) {
    this.head = snapshot.run;
    this.n = snapshot.n;
    this.stages = snapshot.stages;
    ({ src: this.src, dst: this.dst, stage: this.stage, state: this.state, names: this.#nameBytes } = body);
    this.seq = snapshot.seq;
    this.clock = snapshot.run.clock;
    this.#offsetMs = this.clock.now_ms - nowMs;
    this.failures = snapshot.failures;
    this.stageCounts = new Uint32Array(N_STATES * this.stages.length);
    for (let job = 0; job < this.n; job++) this.#count(job, 1);
  }

  /** The run of an inflated snapshot; throws RangeError when the bytes do not fit it. */
  static read(snapshot: Snapshot, bytes: Uint8Array, nowMs = Date.now()): Run {
    return new Run(snapshot, readBody(snapshot, bytes), nowMs);
  }

  /** Folds changes in. "gap" leaves everything as it was: ask for a snapshot. */
  apply(changes: Changes, bytes: Uint8Array, nowMs = Date.now()): Outcome {
    if (changes.seq <= this.seq) return "old";
    if (changes.from !== this.seq) return "gap";
    eachChange(changes, bytes, (job, code) => this.#set(job, code));
    this.seq = changes.seq;
    this.clock = changes.clock;
    this.#offsetMs = changes.clock.now_ms - nowMs;
    this.failures = changes.failures;
    return "applied";
  }

  /** The name that the user gave; a run without one has its id there. */
  get title(): string {
    return this.isNamed ? this.head.name : "batch";
  }

  get isNamed(): boolean {
    return this.head.name !== "" && this.head.name !== this.head.id;
  }

  name(job: number): string {
    this.#names ??= new TextDecoder().decode(this.#nameBytes).split("\n");
    return this.#names[job] || `job ${job + 1}`;
  }

  stateOf(job: number): StateName {
    return stateName(this.state[job] ?? 0);
  }

  /** How long the run has taken, in ms; null before it starts. */
  elapsedMs(nowMs = Date.now()): number | null {
    const { started_ms } = this.clock;
    return started_ms === null ? null : Math.max(0, this.nowMs(nowMs) - started_ms);
  }

  /** The kernel's time now, or that of the run's end, in ms since 1970. */
  nowMs(nowMs = Date.now()): number {
    return this.clock.ended_ms ?? nowMs + this.#offsetMs;
  }

  /** Same jobs, stages and edges as another run: what is drawn may stay where it is. */
  sameGraph(other: Run): boolean {
    return (
      this.n === other.n &&
      this.stages.length === other.stages.length &&
      this.stages.every((stage, index) => stage.name === other.stages[index]?.name) &&
      equal(this.stage, other.stage) &&
      equal(this.src, other.src) &&
      equal(this.dst, other.dst) &&
      equal(this.#nameBytes, other.#nameBytes)
    );
  }

  #set(job: number, code: number): void {
    if (job >= this.n) return;
    this.#count(job, -1);
    this.state[job] = code;
    this.#count(job, 1);
  }

  #count(job: number, step: 1 | -1): void {
    const index = stateIndex(this.state[job] ?? 0);
    const at = N_STATES * (this.stage[job] ?? 0) + index;
    this.counts[index] = (this.counts[index] ?? 0) + step;
    this.stageCounts[at] = (this.stageCounts[at] ?? 0) + step;
  }
}

function equal(left: ArrayLike<number>, right: ArrayLike<number>): boolean {
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}
