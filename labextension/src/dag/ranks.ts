/** Columns of a graph: the longest path from a source, on typed arrays. */

export interface Edges {
  src: Uint32Array;
  dst: Uint32Array;
}

/** Targets of each node, one after another: those of `v` are targets[starts[v] .. starts[v + 1]]. */
export interface Adjacency {
  starts: Uint32Array;
  targets: Uint32Array;
}

export function adjacency(n: number, from: Uint32Array, to: Uint32Array): Adjacency {
  const starts = new Uint32Array(n + 1);
  for (const node of from) starts[node + 1] = (starts[node + 1] ?? 0) + 1;
  for (let v = 0; v < n; v++) starts[v + 1] = (starts[v + 1] ?? 0) + (starts[v] ?? 0);
  const targets = new Uint32Array(to.length);
  const next = starts.slice();
  for (let e = 0; e < to.length; e++) {
    const at = next[from[e] ?? 0] ?? 0;
    targets[at] = to[e] ?? 0;
    next[from[e] ?? 0] = at + 1;
  }
  return { starts, targets };
}

/**
 * Rank of each node, 0 for sources. Jobs never form a cycle, but stages may (a → b → a):
 * then the stage that comes first in the batch goes first, and the edge back does not count.
 */
export function longestPath(n: number, edges: Edges): Uint32Array {
  const { starts, targets } = adjacency(n, edges.src, edges.dst);
  const rank = new Uint32Array(n);
  const waiting = new Uint32Array(n);
  for (const node of targets) waiting[node] = (waiting[node] ?? 0) + 1;
  const done = new Uint8Array(n);
  const queue = Array.from(waiting.keys()).filter((node) => !waiting[node]);
  let scan = 0;
  const reach = (target: number, least: number): void => {
    if (done[target]) return;
    rank[target] = Math.max(rank[target] ?? 0, least);
    waiting[target] = (waiting[target] ?? 0) - 1;
    if (!waiting[target]) queue.push(target);
  };
  for (let head = 0; head < n; head++) {
    while (head === queue.length && done[scan]) scan++;
    const node = queue[head] ?? scan;
    if (head === queue.length) queue.push(node);
    done[node] = 1;
    for (let e = starts[node] ?? 0; e < (starts[node + 1] ?? 0); e++)
      reach(targets[e] ?? 0, (rank[node] ?? 0) + 1);
  }
  return rank;
}
