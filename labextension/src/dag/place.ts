/** Vertical positions: as close to the neighbours as the order and the room between nodes allow. */

import type { Layered } from "./order";

const N_SWEEPS = 8;

export interface Sizes {
  /** Height of each node. */
  heights: Float64Array;
  /** Least room between two nodes of a column. */
  gap: number;
  /** How much a node insists on its place: dummies much, so that long edges are straight. */
  weights: Float64Array;
}

/** The middle of each node, the topmost node beginning at 0. */
export function placeColumns(layered: Layered, sizes: Sizes): Float64Array {
  const middle = new Float64Array(layered.left.length);
  for (const column of layered.columns) settle(column, middle, sizes);
  for (let sweep = 0; sweep < N_SWEEPS; sweep++) {
    const rightwards = sweep % 2 === 0;
    const columns = rightwards ? layered.columns : layered.columns.slice().reverse();
    for (const column of columns) {
      for (const node of column) {
        middle[node] = wish(node, rightwards ? layered.left : layered.right, middle);
      }
      settle(column, middle, sizes);
    }
  }
  let top = Number.POSITIVE_INFINITY;
  for (const [node, height] of sizes.heights.entries()) top = Math.min(top, (middle[node] ?? 0) - height / 2);
  return middle.map((y) => y - top);
}

function wish(node: number, neighbours: number[][], middle: Float64Array): number {
  const near = neighbours[node] ?? [];
  if (!near.length) return middle[node] ?? 0;
  return near.reduce((sum, other) => sum + (middle[other] ?? 0), 0) / near.length;
}

interface Block {
  sum: number;
  weight: number;
  nodes: number;
}

/**
 * Moves a column's nodes to the places nearest to their wishes (least squares) that keep order and room:
 * with the room subtracted this is isotonic regression, solved by pooling neighbours that are out of order.
 */
function settle(column: number[], middle: Float64Array, sizes: Sizes): void {
  const offsets = roomAbove(column, sizes);
  const blocks: Block[] = [];
  column.forEach((node, index) => {
    const weight = sizes.weights[node] ?? 1;
    let block = { sum: weight * ((middle[node] ?? 0) - (offsets[index] ?? 0)), weight, nodes: 1 };
    for (
      let last = blocks.at(-1);
      last && last.sum / last.weight >= block.sum / block.weight;
      last = blocks.at(-1)
    ) {
      blocks.pop();
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        nodes: last.nodes + block.nodes,
      };
    }
    blocks.push(block);
  });
  let index = 0;
  for (const block of blocks) {
    for (const end = index + block.nodes; index < end; index++) {
      middle[column[index] ?? 0] = block.sum / block.weight + (offsets[index] ?? 0);
    }
  }
}

/** Distance of each node's middle from the first one's when the column is packed. */
function roomAbove(column: number[], { heights, gap }: Sizes): Float64Array {
  const offsets = new Float64Array(column.length);
  for (let i = 1; i < column.length; i++) {
    const above = heights[column[i - 1] ?? 0] ?? 0;
    const here = heights[column[i] ?? 0] ?? 0;
    offsets[i] = (offsets[i - 1] ?? 0) + (above + here) / 2 + gap;
  }
  return offsets;
}
