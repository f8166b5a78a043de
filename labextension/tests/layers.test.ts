import { describe, expect, test } from "vitest";
import type { Run } from "../src/runs";
import { BINS, stacked } from "../src/views/chart";
import { layersOf } from "../src/views/layers";
import { formatHours, formatUsd } from "../src/views/money";

/** A run with one job a stage; job `n` runs from 0 to 100 ms and costs `costs[n]`. */
function costing(costs: number[]): [Run, { value: (name: string, job: number) => number }] {
  const names = costs.map((_, stage) => ({ name: `stage-${stage}`, count: 1 }));
  const run = { n: costs.length, stages: names, state: new Uint8Array(costs.length) };
  const value = (name: string, job: number): number =>
    ({ started: 0, ended: 100, cost: costs[job] ?? 0 })[name] ?? Number.NaN;
  return [{ ...run, stage: Uint16Array.from(costs.keys()) } as unknown as Run, { value }];
}

function layers(costs: number[]): ReturnType<typeof layersOf> {
  const [run, columns] = costing(costs);
  return layersOf(run, columns, (job) => columns.value("cost", job), [0, 100], BINS);
}

describe("layers", () => {
  test("stand in the order of what they have, and what has nothing has none", () => {
    expect(layers([1, 0, 3]).map(({ name, total, stages }) => [name, total, stages])).toEqual([
      ["stage-2", 3, [2]],
      ["stage-0", 1, [0]],
    ]);
  });

  test("of many stages are the greatest and all others together", () => {
    expect(layers([9, 8, 7, 6, 2, 1]).map(({ name, total }) => [name, total])).toEqual([
      ["stage-0", 9],
      ["stage-1", 8],
      ["stage-2", 7],
      ["stage-3", 6],
      ["2 other stages", 3],
    ]);
    expect(layers([5, 4, 3, 2, 1]).at(-1)?.name).toBe("stage-4");
  });

  test("are drawn on top of one another, the sum of all first", () => {
    const series = stacked(layers([1, 3]));

    expect(series.map(({ name, own, shade }) => [name, own, shade])).toEqual([
      ["stage-0", 1, 1],
      ["stage-1", 3, 0],
    ]);
    expect(series[0]?.values.at(-1)).toBeCloseTo(4);
    expect(series[0]?.values[BINS / 2 - 1]).toBeCloseTo(2);
  });
});

describe("amounts", () => {
  test.each([
    [0, "$0"],
    [1e-9, "under $0.000001"],
    [0.000_021, "$0.000021"],
    [0.0217, "$0.0217"],
    [3.42, "$3.42"],
    [1204, "$1,204.00"],
  ])("%d is %s", (usd, text) => {
    expect(formatUsd(usd)).toBe(text);
  });

  test.each([
    [0, "0"],
    [0.000_42, "0.0004"],
    [0.25, "0.250"],
    [12.34, "12.3"],
  ])("%d core-hours are %s", (hours, text) => {
    expect(formatHours(hours)).toBe(text);
  });
});
