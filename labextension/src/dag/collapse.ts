/** Which nodes are drawn: jobs gathered into stages, and stages into "+N more" when there are too many. */

import type { Stage } from "../contract";
import { type Edges, longestPath } from "./ranks";

/** Nodes drawn at most, about: beyond that the browser's own layout is what takes the time. */
export const MAX_NODES = 300;

export interface JobGraph extends Edges {
  n: number;
  stage: Uint16Array;
  stages: readonly Stage[];
}

export interface VisibleNode {
  kind: "job" | "stage" | "more";
  label: string;
  /** Number of jobs it stands for. */
  count: number;
  /** Its only job, or the first. */
  job: number;
  /** Indexes in the run's stages. */
  stages: number[];
}

export interface VisibleGraph extends Edges {
  nodes: VisibleNode[];
  /** Visible node of each stage. */
  nodeOfStage: Uint32Array;
  /** Stages folded into "+N more" nodes. */
  nFolded: number;
}

/** The graph as drawn. It depends on topology only, so that nothing moves while the run goes on. */
export function collapse(
  graph: JobGraph,
  nameOf: (job: number) => string,
  maxNodes = MAX_NODES,
): VisibleGraph {
  const nStages = graph.stages.length;
  const { first, count } = stageJobs(graph);
  const between = quotient(graph, (job) => graph.stage[job] ?? 0, nStages);
  const groups = fold(count, longestPath(nStages, between), maxNodes);
  const nodeOfStage = new Uint32Array(nStages);
  const nodes = groups.map((stages, index) => {
    for (const stage of stages) nodeOfStage[stage] = index;
    return visibleNode(graph, stages, first, count, nameOf);
  });
  const edges = quotient(
    { src: between.src, dst: between.dst },
    (stage) => nodeOfStage[stage] ?? 0,
    nodes.length,
  );
  const nFolded = nodes.reduce((sum, node) => sum + (node.kind === "more" ? node.stages.length : 0), 0);
  return { nodes, nodeOfStage, nFolded, ...edges };
}

function stageJobs(graph: JobGraph): { first: Uint32Array; count: Uint32Array } {
  const first = new Uint32Array(graph.stages.length);
  const count = new Uint32Array(graph.stages.length);
  for (let job = graph.n - 1; job >= 0; job--) {
    const stage = graph.stage[job] ?? 0;
    first[stage] = job;
    count[stage] = (count[stage] ?? 0) + 1;
  }
  return { first, count };
}

function visibleNode(
  graph: JobGraph,
  stages: number[],
  first: Uint32Array,
  counts: Uint32Array,
  nameOf: (job: number) => string,
): VisibleNode {
  const count = stages.reduce((sum, stage) => sum + (counts[stage] ?? 0), 0);
  const job = stages.reduce((least, stage) => Math.min(least, first[stage] ?? 0), graph.n);
  const [stage = 0] = stages;
  if (stages.length > 1) return { kind: "more", label: `+${stages.length} more stages`, count, job, stages };
  if (count === 1) return { kind: "job", label: nameOf(job), count, job, stages };
  return { kind: "stage", label: graph.stages[stage]?.name || nameOf(job), count, job, stages };
}

/** Edges between groups, each once, none from a group to itself. */
function quotient(edges: Edges, groupOf: (node: number) => number, nGroups: number): Edges {
  const seen = new Set<number>();
  let last = -1;
  for (let e = 0; e < edges.src.length; e++) {
    const from = groupOf(edges.src[e] ?? 0);
    const to = groupOf(edges.dst[e] ?? 0);
    const key = from * nGroups + to;
    if (from === to || key === last) continue;
    seen.add(key);
    last = key;
  }
  const keys = Float64Array.from(seen);
  return {
    src: Uint32Array.from(keys, (key) => Math.floor(key / nGroups)),
    dst: Uint32Array.from(keys, (key) => key % nGroups),
  };
}

/** Groups of stages, one a node, at most about `maxNodes`; a group is one stage or the rest of a column. */
function fold(count: Uint32Array, rank: Uint32Array, maxNodes: number): number[][] {
  const present = Array.from(count.keys()).filter((stage) => count[stage]);
  if (present.length <= maxNodes) return present.map((stage) => [stage]);
  const columns = new Map<number, number[]>();
  for (const stage of present) {
    const column = columns.get(rank[stage] ?? 0);
    if (column) column.push(stage);
    else columns.set(rank[stage] ?? 0, [stage]);
  }
  const ranks = [...columns.keys()].sort((a, b) => a - b);
  const { head, middle, tail } = cutMiddle(ranks, maxNodes);
  const kept = [...head, ...tail].map((r) => columns.get(r) ?? []);
  const perColumn = columnBudget(
    kept.map((column) => column.length),
    maxNodes - (middle.length ? 1 : 0),
  );
  const groups = kept.flatMap((column) => foldColumn(column, perColumn));
  if (middle.length) groups.push(middle.flatMap((r) => columns.get(r) ?? []));
  return groups;
}

/** A very long chain keeps its two ends. */
function cutMiddle(ranks: number[], maxNodes: number): { head: number[]; middle: number[]; tail: number[] } {
  if (ranks.length <= maxNodes / 2) return { head: ranks, middle: [], tail: [] };
  const nEnd = Math.max(1, Math.floor(maxNodes / 4));
  return { head: ranks.slice(0, nEnd), middle: ranks.slice(nEnd, -nEnd), tail: ranks.slice(-nEnd) };
}

/** The most nodes a column may have so that all columns together stay below `maxNodes`. */
function columnBudget(sizes: number[], maxNodes: number): number {
  let budget = maxNodes;
  while (budget > 1 && sizes.reduce((sum, size) => sum + Math.min(size, budget), 0) > maxNodes) budget--;
  return budget;
}

/** The first stages of a column each by itself, the others as one, `budget` nodes in all. */
function foldColumn(column: number[], budget: number): number[][] {
  if (column.length <= budget) return column.map((stage) => [stage]);
  const nAlone = Math.max(0, budget - 1);
  return [...column.slice(0, nAlone).map((stage) => [stage]), column.slice(nAlone)];
}
