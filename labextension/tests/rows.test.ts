import { expect, test } from "vitest";
import { Run } from "../src/runs";
import { filterJobs, nameRanks, rowsInSight, sortByNumber } from "../src/views/rows";
import { bytesOf, DIAMOND, snapshot } from "./fixtures";

const shown = snapshot({ ...DIAMOND, codes: [4, 12, 3, 5, 0, 1] });
const run = Run.read(shown.content, bytesOf(shown));

test("the rows in sight are those of the viewport and a few more", () => {
  expect(rowsInSight(0, 260, 26, 100_000)).toEqual({ first: 0, end: 14 });
  expect(rowsInSight(26_000, 260, 26, 100_000, 2)).toEqual({ first: 998, end: 1012 });
  expect(rowsInSight(99_990 * 26, 260, 26, 100_000)).toEqual({ first: 99_986, end: 100_000 });
  expect(rowsInSight(5000, 260, 26, 3)).toEqual({ first: 3, end: 3 });
});

test("a filter finds names by all of its words and jobs by their segment", () => {
  expect([...filterJobs(run, "", "")]).toEqual([0, 1, 2, 3, 4, 5]);
  expect([...filterJobs(run, "FIT 3", "")]).toEqual([3]);
  expect([...filterJobs(run, "", "waiting")]).toEqual([4, 5]);
  expect([...filterJobs(run, "fit", "reused")]).toEqual([1]);
  expect([...filterJobs(run, "absent", "")]).toEqual([]);
});

test("jobs are sorted by a number; the unknown come last both ways and equal ones keep their order", () => {
  const keys = [3, Number.NaN, 1, 3];
  expect([...sortByNumber(Uint32Array.of(0, 1, 2, 3), keys, false)]).toEqual([2, 0, 3, 1]);
  expect([...sortByNumber(Uint32Array.of(0, 1, 2, 3), keys, true)]).toEqual([0, 3, 2, 1]);
});

test("names are ranked as people count", () => {
  const names = ["fit-10", "fit-9", "Align", "fit-9b"];
  expect([...nameRanks(4, (job) => names[job] ?? "")]).toEqual([3, 1, 0, 2]);
});
