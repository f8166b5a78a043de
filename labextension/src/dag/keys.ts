/** Which node an arrow key leads to. Pure. */

import type { Layout } from "./layout";

export type Key = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown" | "Home" | "End";

const KEYS: readonly string[] = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

export function isKey(key: string): key is Key {
  return KEYS.includes(key);
}

/** Whether one of the keys is held with which others mean something else. */
export function isHeld({ ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
  return ctrlKey || metaKey || altKey || shiftKey;
}

type Place = Pick<Layout, "rank" | "y">;

/** The nearest node of the next column, or of the same column above or below; `from` where there is none. */
export function neighbour(place: Place, from: number, key: Key): number {
  switch (key) {
    case "ArrowLeft":
      return inColumn(place, from, nextRank(place, from, -1));
    case "ArrowRight":
      return inColumn(place, from, nextRank(place, from, 1));
    case "ArrowUp":
      return inSameColumn(place, from, -1);
    case "ArrowDown":
      return inSameColumn(place, from, 1);
    case "Home":
      return extreme(place, -1);
    case "End":
      return extreme(place, 1);
  }
}

function nextRank({ rank }: Place, from: number, step: 1 | -1): number | null {
  let best: number | null = null;
  for (const other of rank) {
    const ahead = step * (other - (rank[from] ?? 0));
    if (ahead > 0 && (best === null || ahead < step * (best - (rank[from] ?? 0)))) best = other;
  }
  return best;
}

function inColumn({ rank, y }: Place, from: number, column: number | null): number {
  if (column === null) return from;
  return nearest(
    rank,
    (node) => (rank[node] === column ? Math.abs((y[node] ?? 0) - (y[from] ?? 0)) : null),
    from,
  );
}

function inSameColumn({ rank, y }: Place, from: number, step: 1 | -1): number {
  const distance = (node: number): number | null => {
    const ahead = step * ((y[node] ?? 0) - (y[from] ?? 0));
    return rank[node] === rank[from] && ahead > 0 ? ahead : null;
  };
  return nearest(rank, distance, from);
}

function extreme({ rank, y }: Place, step: 1 | -1): number {
  const order = (node: number): number => -step * ((rank[node] ?? 0) * 1e6 + (y[node] ?? 0));
  return nearest(rank, order, 0);
}

function nearest(rank: Uint32Array, distance: (node: number) => number | null, otherwise: number): number {
  let best = otherwise;
  let least = Number.POSITIVE_INFINITY;
  for (let node = 0; node < rank.length; node++) {
    const far = distance(node);
    if (far === null || far >= least) continue;
    least = far;
    best = node;
  }
  return best;
}
