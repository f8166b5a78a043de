/** Which jobs a table shows, in which order, and which of them are in sight. Pure. */

import type { Run } from "../runs";
import { SEGMENTS, type SegmentName, stateIndex } from "../states";

export interface RowWindow {
  first: number;
  /** Exclusive. */
  end: number;
}

/** The rows in sight of a viewport, and `spare` more above and below. */
export function rowsInSight(
  scrollPx: number,
  heightPx: number,
  rowPx: number,
  count: number,
  spare = 4,
): RowWindow {
  const first = Math.min(Math.max(0, Math.floor(scrollPx / rowPx) - spare), count);
  return { first, end: Math.min(count, Math.ceil((scrollPx + heightPx) / rowPx) + spare) };
}

/** Jobs whose name has every word of `text`, in any case, and that are in `segment` and in the group. */
export function filterJobs(
  run: Run,
  text: string,
  segment: SegmentName | "",
  inGroup: (job: number) => boolean = () => true,
): Uint32Array {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const states = SEGMENTS.find(({ name }) => name === segment)?.states;
  const jobs = new Uint32Array(run.n);
  let count = 0;
  for (let job = 0; job < run.n; job++) {
    if (states && !states.includes(stateIndex(run.state[job] ?? 0))) continue;
    if (words.length > 0) {
      const name = run.name(job).toLowerCase();
      if (!words.every((word) => name.includes(word))) continue;
    }
    if (inGroup(job)) jobs[count++] = job;
  }
  return jobs.subarray(0, count);
}

/** Sorts in place by a number each; what is not known comes last, equal ones keep the order of their jobs. */
export function sortByNumber(jobs: Uint32Array, keys: ArrayLike<number>, descending: boolean): Uint32Array {
  const sign = descending ? -1 : 1;
  return jobs.sort((a, b) => {
    const left = keys[a] ?? Number.NaN;
    const right = keys[b] ?? Number.NaN;
    if (left === right) return a - b;
    if (Number.isNaN(left)) return Number.isNaN(right) ? a - b : 1;
    if (Number.isNaN(right)) return -1;
    return sign * (left - right);
  });
}

/** For each job its place among all by name, so that "fit-9" comes before "fit-10". */
export function nameRanks(n: number, name: (job: number) => string): Float64Array {
  const keys = Array.from({ length: n }, (_, job) =>
    name(job)
      .toLowerCase()
      .replace(/\d+/g, (digits) => digits.padStart(10, "0")),
  );
  const order = Uint32Array.from(keys, (_, job) => job).sort((a, b) => {
    const left = keys[a] ?? "";
    const right = keys[b] ?? "";
    if (left === right) return a - b;
    return left < right ? -1 : 1;
  });
  const ranks = new Float64Array(n);
  order.forEach((job, rank) => {
    ranks[job] = rank;
  });
  return ranks;
}
