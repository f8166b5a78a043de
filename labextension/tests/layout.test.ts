import { describe, expect, test } from "vitest";
import { neighbour } from "../src/dag/keys";
import { COLUMN_GAP, layOut, ROW_GAP } from "../src/dag/layout";
import { countCrossings, type Layered, orderColumns } from "../src/dag/order";
import { type Edges, longestPath } from "../src/dag/ranks";

const edges = (...pairs: [number, number][]): Edges => ({
  src: Uint32Array.from(pairs, ([from]) => from),
  dst: Uint32Array.from(pairs, ([, to]) => to),
});

const boxes = (n: number) => Array.from({ length: n }, () => ({ width: 100, height: 30 }));

describe("ranks", () => {
  test("a node is one column after the last of its parents", () => {
    expect([...longestPath(5, edges([0, 1], [1, 2], [0, 2], [2, 3], [4, 3]))]).toEqual([0, 1, 2, 3, 0]);
  });

  test("a cycle between stages ends at the stage that came first", () => {
    expect([...longestPath(3, edges([0, 1], [1, 0], [1, 2]))]).toEqual([0, 1, 2]);
  });
});

describe("order", () => {
  test("sweeps undo a crossing", () => {
    const layered: Layered = {
      columns: [
        [0, 1],
        [2, 3],
      ],
      left: [[], [], [1], [0]],
      right: [[3], [2], [], []],
    };
    expect(countCrossings(layered)).toBe(1);

    orderColumns(layered);

    expect(countCrossings(layered)).toBe(0);
  });

  test("edges from or to one node do not cross", () => {
    const layered: Layered = { columns: [[0], [1, 2]], left: [[], [0], [0]], right: [[1, 2], [], []] };
    expect(countCrossings(layered)).toBe(0);
  });
});

describe("layout", () => {
  const random = (n: number, step: number): [number, number][] =>
    Array.from({ length: n - 10 }, (_, i): [number, number][] => [
      [i, i + 10],
      [(i * step) % (i + 1), i + 10],
    ]).flat();

  test("nodes of a column are apart from one another, and no node lies left of 0 or above it", () => {
    const { x, y, rank, height, width } = layOut(boxes(120), edges(...random(120, 7)));

    for (let a = 0; a < 120; a++) {
      for (let b = 0; b < a; b++) {
        if (rank[a] !== rank[b]) continue;
        expect(Math.abs((y[a] ?? 0) - (y[b] ?? 0))).toBeGreaterThanOrEqual(30 + ROW_GAP - 1e-6);
      }
    }
    expect(Math.min(...x, ...y)).toBeGreaterThanOrEqual(-1e-6);
    expect(Math.max(...y) + 30).toBeLessThanOrEqual(height + 1e-6);
    expect(Math.max(...x) + 100).toBe(width);
  });

  test("edges lead to the right", () => {
    const all = edges(...random(60, 3));
    const { x } = layOut(boxes(60), all);

    expect(all.src.every((from, e) => (x[from] ?? 0) < (x[all.dst[e] ?? 0] ?? 0))).toBe(true);
  });

  test("a scatter and gather is symmetric about its ends", () => {
    const { y } = layOut(boxes(5), edges([0, 1], [0, 2], [0, 3], [1, 4], [2, 4], [3, 4]));

    expect(y[0]).toBeCloseTo(y[2] ?? -1);
    expect(y[4]).toBeCloseTo(y[2] ?? -1);
  });

  test("an edge over several columns passes between their nodes, not through them", () => {
    const { y, paths } = layOut(boxes(3), edges([0, 1], [1, 2], [0, 2]));
    const level = Number(paths[2]?.match(/ (-?[\d.]+)H/)?.[1]);

    expect(level < (y[1] ?? 0) || level > (y[1] ?? 0) + 30).toBe(true);
  });

  test("columns move together or apart for the width there is, within limits", () => {
    const line = edges([0, 1], [1, 2]);
    const gap = (width: number): number => {
      const { x } = layOut(boxes(3), line, width);
      return (x[1] ?? 0) - 100;
    };

    expect(gap(380)).toBe(40);
    expect(gap(2000)).toBe(COLUMN_GAP.most);
    expect(gap(310)).toBe(COLUMN_GAP.usual);
  });

  test("nothing at all is laid out as nothing", () => {
    expect(layOut([], edges())).toMatchObject({ width: 0, height: 0, paths: [] });
  });
});

describe("arrow keys", () => {
  const place = layOut(boxes(5), edges([0, 1], [0, 2], [0, 3], [1, 4], [2, 4], [3, 4]));

  test("lead to the nearest node of the next column, and along a column", () => {
    expect(neighbour(place, 0, "ArrowRight")).toBe(2);
    expect(neighbour(place, 2, "ArrowUp")).toBe(1);
    expect(neighbour(place, 2, "ArrowDown")).toBe(3);
    expect(neighbour(place, 3, "ArrowLeft")).toBe(0);
    expect(neighbour(place, 1, "ArrowUp")).toBe(1);
    expect(neighbour(place, 2, "Home")).toBe(0);
    expect(neighbour(place, 2, "End")).toBe(4);
  });
});
