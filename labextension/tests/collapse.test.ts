import { describe, expect, test } from "vitest";
import { collapse, type JobGraph } from "../src/dag/collapse";
import { longestPath } from "../src/dag/ranks";
import { DIAMOND, type Graph } from "./fixtures";

const graphOf = ({ names, stages, edges }: Graph): JobGraph => {
  const counts = new Map<string, number>();
  for (const stage of stages) counts.set(stage, (counts.get(stage) ?? 0) + 1);
  const index = new Map([...counts.keys()].map((name, at) => [name, at]));
  return {
    n: names.length,
    stage: Uint16Array.from(stages, (name) => index.get(name) ?? 0),
    stages: [...counts].map(([name, count]) => ({ name, count })),
    src: Uint32Array.from(edges, ([from]) => from),
    dst: Uint32Array.from(edges, ([, to]) => to),
  };
};

const collapsed = (graph: Graph, maxNodes?: number) =>
  collapse(graphOf(graph), (job) => graph.names[job] ?? "", maxNodes);

const chain = (length: number): Graph => ({
  names: Array.from({ length }, (_, i) => `s${i}`),
  stages: Array.from({ length }, (_, i) => `s${i}`),
  edges: Array.from({ length: length - 1 }, (_, i): [number, number] => [i, i + 1]),
});

describe("collapse", () => {
  test("jobs of one stage become a stack, a stage of one job stays a job", () => {
    const { nodes } = collapsed(DIAMOND);

    expect(nodes.map(({ kind, label, count }) => [kind, label, count])).toEqual([
      ["job", "prepare", 1],
      ["stage", "fit", 4],
      ["job", "report", 1],
    ]);
  });

  test("edges between two stages are drawn once, and none from a stage to itself", () => {
    const { src, dst } = collapsed({ ...DIAMOND, edges: [...DIAMOND.edges, [1, 2]] });

    expect([...src]).toEqual([0, 1]);
    expect([...dst]).toEqual([1, 2]);
  });

  test("a column with too many stages keeps the first and folds the others", () => {
    const names = ["start", ...Array.from({ length: 50 }, (_, i) => `w${i}`)];
    const wide: Graph = {
      names,
      stages: names,
      edges: names.slice(1).map((_, i): [number, number] => [0, i + 1]),
    };

    const { nodes, nFolded } = collapsed(wide, 11);
    expect(nodes.length).toBe(11);
    expect(nodes.at(-1)).toMatchObject({ kind: "more", label: "+41 more stages", count: 41 });
    expect(nFolded).toBe(41);
  });

  test("a chain that is too long keeps its ends and stays without cycles", () => {
    const { nodes, src, dst } = collapsed(chain(1000), 20);

    expect(nodes.length).toBe(11);
    expect(nodes.filter((node) => node.kind === "more").map((node) => node.count)).toEqual([990]);
    const rank = longestPath(nodes.length, { src, dst });
    expect(src.every((from, e) => (rank[from] ?? 0) < (rank[dst[e] ?? 0] ?? 0))).toBe(true);
  });

  test("50,000 stages become about as many nodes as asked for", () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `s${i}`);
    const edges = names.slice(100).map((_, i): [number, number] => [i, i + 100]);

    expect(collapsed({ names, stages: names, edges }).nodes.length).toBeLessThanOrEqual(300);
  });

  test("what is drawn does not depend on the jobs' states", () => {
    expect(collapsed({ ...DIAMOND, codes: [4, 5, 3, 0, 0, 0] })).toEqual(collapsed(DIAMOND));
  });
});
