import { describe, expect, test } from "vitest";
import type { ColumnName } from "../src/contract";
import { firstEnding, jobAt, laneJobs, tickStep } from "../src/views/lanes";
import { accrued, inUse, roundTop } from "../src/views/series";

/** Columns of jobs given as [started, ended, slot]. */
function columns(jobs: readonly (readonly [number, number, number])[]) {
  const at: Partial<Record<ColumnName, 0 | 1 | 2>> = { started: 0, ended: 1, slot: 2 };
  return { value: (name: ColumnName, job: number) => jobs[job]?.[at[name] ?? 0] ?? Number.NaN };
}

const NONE = Number.NaN;

describe("lanes", () => {
  test("are the slots where slots are known, in the order of the starts", () => {
    const made = laneJobs(
      4,
      columns([
        [30, 40, 1],
        [0, 10, 0],
        [NONE, NONE, NONE],
        [5, NONE, 1],
      ]),
      50,
    );
    expect(made.lanes.map((jobs) => [...jobs])).toEqual([[1], [3, 0]]);
    expect([made.fromMs, made.toMs, made.slotted]).toEqual([0, 50, true]);
  });

  test("are the first free ones where no slot is known", () => {
    const made = laneJobs(
      3,
      columns([
        [0, 10, NONE],
        [5, 20, NONE],
        [10, 15, NONE],
      ]),
      30,
    );
    expect(made.lanes.map((jobs) => [...jobs])).toEqual([[0, 2], [1]]);
    expect(made.slotted).toBe(false);
  });

  test("tell which job lies at a moment, or near it", () => {
    const made = laneJobs(
      2,
      columns([
        [0, 10, 0],
        [20, 30, 0],
      ]),
      40,
    );
    const lane = made.lanes[0] ?? new Uint32Array();
    expect([0, 10, 11, 31].map((moment) => firstEnding(made, lane, moment))).toEqual([0, 0, 1, 2]);
    expect([5, 12, 15, 18, 33].map((moment) => jobAt(made, lane, moment, 2))).toEqual([0, 0, null, 1, null]);
  });

  test("have an axis of round steps", () => {
    expect([tickStep(95_000, 8), tickStep(3_600_000, 6), tickStep(400, 5)]).toEqual([15_000, 600_000, 100]);
  });
});

describe("sums over time", () => {
  test("average what is in use in each part", () => {
    const uses = [
      { begin: 0, end: 100, amount: 2 },
      { begin: 25, end: 50, amount: 4 },
      { begin: 60, end: 60, amount: 9 },
    ];
    expect([...inUse(uses, 0, 100, 4)]).toEqual([2, 6, 2, 2]);
    expect([...inUse(uses, 0, 100, 2)]).toEqual([4, 2]);
  });

  test("leave nothing behind of what ended before and count what began before", () => {
    expect([...inUse([{ begin: -50, end: -10, amount: 1 }], 0, 100, 2)]).toEqual([0, 0]);
    expect([...inUse([{ begin: -50, end: 50, amount: 1 }], 0, 100, 2)]).toEqual([1, 0]);
  });

  test("accrue evenly from begin to end", () => {
    const uses = [
      { begin: 0, end: 50, amount: 2 },
      { begin: 50, end: 100, amount: 4 },
    ];
    expect([...accrued(uses, 0, 100, 4)]).toEqual([1, 2, 4, 6]);
  });

  test("accrue what came at once, too", () => {
    expect(accrued([{ begin: 30, end: 30, amount: 3 }], 0, 100, 4).map(Math.round)[3]).toBe(3);
  });

  test("stand below a round number", () => {
    expect([0, 7, 12, 0.03, 50].map(roundTop)).toEqual([1, 10, 20, 0.05, 50]);
  });
});
