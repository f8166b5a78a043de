/** Where every visible node and edge goes, left to right. Pure: sizes in, positions out. */

import { type Layered, orderColumns } from "./order";
import { placeColumns } from "./place";
import { type Edges, longestPath } from "./ranks";

export interface Box {
  width: number;
  height: number;
}

export interface Layout {
  /** Left, top and width of each node; nodes of a column are equally wide. */
  x: Float64Array;
  y: Float64Array;
  widths: Float64Array;
  /** Column of each node. */
  rank: Uint32Array;
  /** An SVG path for each edge. */
  paths: string[];
  width: number;
  height: number;
}

/** Room between nodes, in px. */
export const ROW_GAP = 12;
export const COLUMN_GAP = { least: 30, usual: 48, most: 72 };

/** Beyond this many points on long edges they are drawn straight. */
const MAX_DUMMIES = 5000;

/** `width` is what there is to fill, in px: columns come closer or move apart a little for it; 0 is not known. */
export function layOut(boxes: readonly Box[], edges: Edges, width = 0): Layout {
  const n = boxes.length;
  const rank = longestPath(n, edges);
  const { layered, chains, columnOf } = layer(n, rank, edges);
  orderColumns(layered);
  const nAll = columnOf.length;
  const heights = Float64Array.from({ length: nAll }, (_, v) => boxes[v]?.height ?? 0);
  const weights = Float64Array.from({ length: nAll }, (_, v) => (v < n ? 1 : 4));
  const middle = placeColumns(layered, { heights, weights, gap: ROW_GAP });
  const columns = columnExtents(boxes, rank, layered.columns.length, width);
  const last = columns.at(-1);
  const right = (v: number): number => (columns[v]?.left ?? 0) + (columns[v]?.width ?? 0);
  return {
    rank,
    x: Float64Array.from({ length: n }, (_, v) => columns[rank[v] ?? 0]?.left ?? 0),
    y: Float64Array.from({ length: n }, (_, v) => (middle[v] ?? 0) - (heights[v] ?? 0) / 2),
    widths: Float64Array.from({ length: n }, (_, v) => columns[rank[v] ?? 0]?.width ?? 0),
    paths: chains.map((chain) =>
      path(
        chain.map((v) => {
          const column = columnOf[v] ?? 0;
          return { left: columns[column]?.left ?? 0, right: right(column), y: middle[v] ?? 0 };
        }),
      ),
    ),
    width: last ? last.left + last.width : 0,
    height: heights.reduce((most, height, v) => Math.max(most, (middle[v] ?? 0) + height / 2), 0),
  };
}

interface Layers {
  layered: Layered;
  /** The nodes each edge passes, dummies included. */
  chains: number[][];
  columnOf: number[];
}

/** Puts nodes into columns, and a dummy into every column that a long edge passes. */
function layer(n: number, rank: Uint32Array, { src, dst }: Edges): Layers {
  const columnOf = Array.from(rank);
  const chains = Array.from(src, (from, e) => {
    const to = dst[e] ?? 0;
    const chain = [from];
    for (let r = (rank[from] ?? 0) + 1; r < (rank[to] ?? 0) && columnOf.length < n + MAX_DUMMIES; r++) {
      chain.push(columnOf.length);
      columnOf.push(r);
    }
    chain.push(to);
    return chain;
  });
  const nColumns = columnOf.reduce((most, column) => Math.max(most, column + 1), 0);
  const layered: Layered = {
    columns: Array.from({ length: nColumns }, () => []),
    left: columnOf.map(() => []),
    right: columnOf.map(() => []),
  };
  columnOf.forEach((column, node) => {
    layered.columns[column]?.push(node);
  });
  for (const chain of chains) link(chain, columnOf, layered);
  return { layered, chains, columnOf };
}

function link(chain: number[], columnOf: number[], { left, right }: Layered): void {
  for (let i = 1; i < chain.length; i++) {
    const from = chain[i - 1] ?? 0;
    const to = chain[i] ?? 0;
    if ((columnOf[to] ?? 0) !== (columnOf[from] ?? 0) + 1) continue;
    right[from]?.push(to);
    left[to]?.push(from);
  }
}

interface Extent {
  left: number;
  width: number;
}

function columnExtents(boxes: readonly Box[], rank: Uint32Array, nColumns: number, width: number): Extent[] {
  const widths = new Float64Array(nColumns);
  boxes.forEach((box, v) => {
    widths[rank[v] ?? 0] = Math.max(widths[rank[v] ?? 0] ?? 0, box.width);
  });
  const free = width - widths.reduce((sum, each) => sum + each, 0);
  const even = width && nColumns > 1 ? Math.floor(free / (nColumns - 1)) : COLUMN_GAP.usual;
  // Far too wide anyway: then it scrolls, and may as well be easy to read.
  const gap = even < COLUMN_GAP.least ? COLUMN_GAP.usual : Math.min(COLUMN_GAP.most, even);
  let left = 0;
  return Array.from(widths, (each) => {
    const column = { left, width: each };
    left += each + gap;
    return column;
  });
}

interface Stop {
  left: number;
  right: number;
  y: number;
}

/** A curve from the right side of the first stop to the left side of the last, level at every stop. */
function path(stops: Stop[]): string {
  const [first, ...rest] = stops;
  if (!first) return "";
  let text = `M${px(first.right)} ${px(first.y)}`;
  let from = { x: first.right, y: first.y };
  rest.forEach((stop, index) => {
    const reach = Math.max(16, (stop.left - from.x) / 2);
    text += `C${px(from.x + reach)} ${px(from.y)} ${px(stop.left - reach)} ${px(stop.y)} ${px(stop.left)} ${px(stop.y)}`;
    if (index < rest.length - 1) text += `H${px(stop.right)}`;
    from = { x: stop.right, y: stop.y };
  });
  return text;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
