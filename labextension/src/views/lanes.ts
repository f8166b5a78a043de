/** Where each job of a timeline lies: lanes of jobs that do not overlap, and what lies at a point. Pure. */

import type { Columns } from "./columns";

export interface Lanes {
  /** The jobs of each lane by their start. */
  lanes: readonly Uint32Array[];
  /** Moments of each job, in ms since 1970; NaN for one that has not begun. */
  begin: Float64Array;
  /** Now, for a job that runs. */
  end: Float64Array;
  /** The first start and the last end; equal when nothing has begun. */
  fromMs: number;
  toMs: number;
  /** Whether the backend said where jobs ran; else the lanes only show how many ran at once. */
  slotted: boolean;
}

/** Lanes of all jobs that have begun: by slot where slots are known, else the first lane that is free. */
export function laneJobs(n: number, columns: Pick<Columns, "value">, nowMs: number): Lanes {
  const begin = new Float64Array(n).fill(Number.NaN);
  const end = new Float64Array(n).fill(Number.NaN);
  const begun: number[] = [];
  let slotted = false;
  let fromMs = Number.POSITIVE_INFINITY;
  let toMs = Number.NEGATIVE_INFINITY;
  for (let job = 0; job < n; job++) {
    const started = columns.value("started", job);
    if (Number.isNaN(started)) continue;
    const ended = columns.value("ended", job);
    begin[job] = started;
    end[job] = Math.max(started, Number.isNaN(ended) ? nowMs : ended);
    slotted ||= columns.value("slot", job) >= 0;
    begun.push(job);
    fromMs = Math.min(fromMs, started);
    toMs = Math.max(toMs, end[job] ?? started);
  }
  const order = Uint32Array.from(begun).sort((a, b) => (begin[a] ?? 0) - (begin[b] ?? 0) || a - b);
  const lanes = slotted ? bySlot(order, columns) : firstFree(order, begin, end);
  if (begun.length === 0) fromMs = toMs = nowMs;
  return { lanes: lanes.map((jobs) => Uint32Array.from(jobs)), begin, end, fromMs, toMs, slotted };
}

function bySlot(order: Uint32Array, columns: Pick<Columns, "value">): number[][] {
  const lanes: number[][] = [];
  for (const job of order) {
    const slot = columns.value("slot", job);
    if (!(slot >= 0)) continue;
    while (lanes.length <= slot) lanes.push([]);
    lanes[slot]?.push(job);
  }
  return lanes;
}

function firstFree(order: Uint32Array, begin: Float64Array, end: Float64Array): number[][] {
  const lanes: number[][] = [];
  const freeAt: number[] = [];
  for (const job of order) {
    const free = freeAt.findIndex((moment) => moment <= (begin[job] ?? 0));
    const lane = free < 0 ? lanes.length : free;
    if (free < 0) lanes.push([]);
    lanes[lane]?.push(job);
    freeAt[lane] = end[job] ?? 0;
  }
  return lanes;
}

/** Index in the lane of the first job that ends at or after a moment; the lane's length when there is none. */
export function firstEnding({ end }: Pick<Lanes, "end">, lane: Uint32Array, momentMs: number): number {
  let low = 0;
  let high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((end[lane[middle] ?? 0] ?? 0) < momentMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The job of the lane nearest to a moment, within `slackMs`; null where there is none. */
export function jobAt(
  lanes: Lanes,
  lane: Uint32Array | undefined,
  momentMs: number,
  slackMs: number,
): number | null {
  if (!lane) return null;
  const index = firstEnding(lanes, lane, momentMs);
  let best: number | null = null;
  let least = slackMs;
  for (const job of [lane[index - 1], lane[index]]) {
    if (job === undefined) continue;
    const away = Math.max(0, (lanes.begin[job] ?? 0) - momentMs, momentMs - (lanes.end[job] ?? 0));
    if (away > least) continue;
    least = away;
    best = job;
  }
  return best;
}

/** A round length of time of which at most `most` fit into the span, in ms. */
export function tickStep(spanMs: number, most: number): number {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat(
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200].map(
      (s) => 1000 * s,
    ),
  );
  const day = 86_400_000;
  return steps.find((step) => spanMs / step <= most) ?? day * Math.ceil(spanMs / day / most);
}
