/** The states of a job: codes, words, glyphs, and how many states become one. */

export type StateName =
  | "pending"
  | "ready"
  | "creating"
  | "running"
  | "success"
  | "failed"
  | "error"
  | "cancelled"
  | "reused";

/** Set in a code when the result was taken over from an earlier run. */
const REUSED_BIT = 8;

/** Index of a state in count arrays: its code, or 8 when reused. */
export const STATE_NAMES: readonly StateName[] = [
  "pending",
  "ready",
  "creating",
  "running",
  "success",
  "failed",
  "error",
  "cancelled",
  "reused",
];

export const N_STATES = STATE_NAMES.length;

/** The word a person reads: fewer words than states, the same as in the kernel's texts. */
export const WORDS: Readonly<Record<StateName, string>> = {
  pending: "waiting",
  ready: "waiting",
  creating: "waiting",
  running: "running",
  success: "succeeded",
  failed: "failed",
  error: "failed",
  cancelled: "cancelled",
  reused: "reused",
};

/** Strokes on a 12 by 12 grid; a shape for each state, so that colour is never the only sign. */
export const GLYPHS: Readonly<Record<StateName, string>> = {
  pending: "M6 3.6a2.4 2.4 0 1 0 .01 0",
  ready: "M4.6 3.4v5.2L9 6z",
  creating: "M6 2.6V4M9.4 6H8M6 9.4V8M2.6 6H4",
  running: "M6 2.4A3.6 3.6 0 1 1 2.4 6",
  success: "M3 6.3 5.2 8.5 9.2 3.8",
  failed: "M3.6 3.6l4.8 4.8M8.4 3.6 3.6 8.4",
  error: "M6 2.8v3.9M6 9.1v.1",
  cancelled: "M3.4 6h5.2",
  reused: "M8.1 4.5A2.7 2.7 0 1 0 8.7 6.6M8.5 3v1.7H6.8",
};

/** Index in STATE_NAMES of a code from the wire. */
export function stateIndex(code: number): number {
  return code & REUSED_BIT ? REUSED_BIT : code & 7;
}

export function stateName(code: number): StateName {
  return STATE_NAMES[stateIndex(code)] ?? "pending";
}

/** The worst, then the most active, first. */
const BY_URGENCY = [5, 6, 3, 2, 1, 0, 7, 4, 8];

/** One state for many jobs: `counts` holds N_STATES numbers from `start`. */
export function rollUp(counts: Uint32Array, start = 0): StateName {
  for (const index of BY_URGENCY) {
    if (counts[start + index]) return STATE_NAMES[index] ?? "pending";
  }
  return "pending";
}

export type SegmentName = "success" | "reused" | "running" | "failed" | "cancelled" | "waiting";

/** The parts of a progress bar in the order drawn, with the state indexes that each one sums. */
export const SEGMENTS: readonly { name: SegmentName; states: readonly number[] }[] = [
  { name: "success", states: [4] },
  { name: "reused", states: [8] },
  { name: "running", states: [3] },
  { name: "failed", states: [5, 6] },
  { name: "cancelled", states: [7] },
  { name: "waiting", states: [0, 1, 2] },
];

/** Jobs in each segment, in the order of SEGMENTS. */
export function segmentCounts(counts: Uint32Array): number[] {
  return SEGMENTS.map(({ states }) => states.reduce((sum, index) => sum + (counts[index] ?? 0), 0));
}
