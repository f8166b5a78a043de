/** The order of nodes in their columns: barycenter sweeps, keeping the one with the fewest crossings. */

/** A graph whose edges join neighbouring columns only; long edges pass through dummy nodes. */
export interface Layered {
  /** Node ids of each column, top to bottom. */
  columns: number[][];
  /** Neighbours of each node one column to the left, and to the right. */
  left: number[][];
  right: number[][];
}

const N_SWEEPS = 6;

/** Reorders `layered.columns` in place. */
export function orderColumns(layered: Layered): void {
  const position = new Float64Array(layered.left.length);
  let best = layered.columns.map((column) => column.slice());
  let fewest = countCrossings(layered, position);
  for (let sweep = 0; sweep < N_SWEEPS && fewest > 0; sweep++) {
    const rightwards = sweep % 2 === 0;
    const columns = rightwards ? layered.columns : layered.columns.slice().reverse();
    const neighbours = rightwards ? layered.left : layered.right;
    for (const column of columns) sortByBarycenter(column, neighbours, position);
    const crossings = countCrossings(layered, position);
    if (crossings >= fewest) continue;
    fewest = crossings;
    best = layered.columns.map((column) => column.slice());
  }
  layered.columns = best;
}

function sortByBarycenter(column: number[], neighbours: number[][], position: Float64Array): void {
  const center = new Map<number, number>();
  column.forEach((node, index) => {
    const near = neighbours[node] ?? [];
    const sum = near.reduce((total, other) => total + (position[other] ?? 0), 0);
    center.set(node, near.length ? sum / near.length : index);
  });
  column.sort((a, b) => (center.get(a) ?? 0) - (center.get(b) ?? 0));
  column.forEach((node, index) => {
    position[node] = index;
  });
}

/** Crossings between all neighbouring columns; also writes each node's index into `position`. */
export function countCrossings(layered: Layered, position = new Float64Array(layered.left.length)): number {
  for (const column of layered.columns) {
    column.forEach((node, index) => {
      position[node] = index;
    });
  }
  let crossings = 0;
  layered.columns.forEach((column, index) => {
    const width = layered.columns[index + 1]?.length ?? 0;
    if (width > 1) crossings += inversions(column, layered.right, position, width);
  });
  return crossings;
}

/** Pairs of edges out of one column that cross, counted with a Fenwick tree over the next column. */
function inversions(column: number[], right: number[][], position: Float64Array, width: number): number {
  const tree = new Uint32Array(width + 1);
  let crossings = 0;
  let nSeen = 0;
  for (const node of column) {
    const ends = (right[node] ?? []).map((other) => position[other] ?? 0).sort((a, b) => a - b);
    for (const end of ends) {
      let upTo = 0;
      for (let i = end + 1; i > 0; i -= i & -i) upTo += tree[i] ?? 0;
      crossings += nSeen - upTo;
    }
    for (const end of ends) {
      for (let i = end + 1; i <= width; i += i & -i) tree[i] = (tree[i] ?? 0) + 1;
    }
    nSeen += ends.length;
  }
  return crossings;
}
