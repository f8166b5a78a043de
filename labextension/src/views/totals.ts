/** What jobs asked for and used: for the whole run, for each stage, and over time. Pure. */

import type { Run } from "../runs";
import type { Columns } from "./columns";
import type { Use } from "./series";

/** Cores of a job that says nothing. */
const DEFAULT_CORES = 1;

/** One stage, or the whole run; what no job tells is NaN or 0. */
export interface Total {
  /** Index of the stage; -1 for the whole run. */
  stage: number;
  /** Jobs that have begun in this run. */
  begun: number;
  /** Core milliseconds from start to end, and those in which a processor worked, of the jobs that tell it. */
  grantedMs: number;
  usedMs: number;
  /** Granted to the jobs that tell what they used. */
  toldMs: number;
  longestMs: number;
  /** Bytes of the largest job (below zero: at most so many), and the most that one asked for. */
  peakBytes: number;
  askedBytes: number;
  costUsd: number;
}

function nothing(stage: number): Total {
  return {
    stage,
    begun: 0,
    grantedMs: 0,
    usedMs: 0,
    toldMs: 0,
    longestMs: 0,
    peakBytes: 0,
    askedBytes: 0,
    costUsd: 0,
  };
}

function known(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}

export function coresOf(columns: Pick<Columns, "value">, job: number): number {
  return known(columns.value("cores", job)) / 1000 || DEFAULT_CORES;
}

/** The whole run first, then its stages with jobs that have begun, those that took most core time first. */
export function totals(run: Run, columns: Pick<Columns, "value">, nowMs: number): Total[] {
  const whole = nothing(-1);
  const stages = run.stages.map((_, stage) => nothing(stage));
  for (let job = 0; job < run.n; job++) {
    const stage = stages[run.stage[job] ?? 0];
    for (const total of stage ? [whole, stage] : [whole]) add(total, columns, job, nowMs);
  }
  const begun = stages.filter((total) => total.begun > 0).sort((a, b) => b.grantedMs - a.grantedMs);
  return [whole, ...begun];
}

function add(total: Total, columns: Pick<Columns, "value">, job: number, nowMs: number): void {
  total.askedBytes = Math.max(total.askedBytes, 1024 * known(columns.value("memory", job)));
  total.costUsd += known(columns.value("cost", job));
  const started = columns.value("started", job);
  if (Number.isNaN(started)) return;
  const ended = columns.value("ended", job);
  const tookMs = Math.max(0, (Number.isNaN(ended) ? nowMs : ended) - started);
  const cpu = columns.value("cpu", job);
  const granted = coresOf(columns, job) * tookMs;
  total.begun++;
  total.grantedMs += granted;
  total.longestMs = Math.max(total.longestMs, tookMs);
  const peak = 1024 * known(columns.value("rss", job));
  if (Math.abs(peak) > Math.abs(total.peakBytes)) total.peakBytes = peak;
  if (Number.isNaN(cpu)) return;
  total.usedMs += 1000 * cpu;
  total.toldMs += granted;
}

export type Amount = (job: number, tookMs: number) => number;

/** Each job (or each of `jobs`) that has begun with an amount of its own; those without one are left out. */
export function* usesOf(
  run: Run,
  columns: Pick<Columns, "value">,
  nowMs: number,
  amountOf: Amount,
  jobs: Iterable<number> = run.state.keys(),
): Generator<Use> {
  for (const job of jobs) {
    const begin = columns.value("started", job);
    if (Number.isNaN(begin)) continue;
    const ended = columns.value("ended", job);
    const end = Number.isNaN(ended) ? nowMs : ended;
    const amount = amountOf(job, Math.max(1, end - begin));
    if (amount > 0) yield { begin, end, amount };
  }
}
