/** What the stages took together over time, the greatest ones one by one and the others as one. Pure. */

import { plural } from "../format";
import type { Run } from "../runs";
import type { Columns } from "./columns";
import { accrued } from "./series";
import { type Amount, usesOf } from "./totals";

/** So many stages stand by themselves, if there are more. */
const MAX_LAYERS = 4;

export interface Layer {
  name: string;
  /** Which stages these are. */
  stages: number[];
  /** All of it by now. */
  total: number;
  /** What had come together by the end of each part of the time. */
  values: Float64Array;
}

/** Layers that have something, the greatest first; the others come last. */
export function layersOf(
  run: Run,
  columns: Pick<Columns, "value">,
  amount: Amount,
  [fromMs, toMs]: readonly [number, number],
  bins: number,
): Layer[] {
  const sums = run.stages.map((_, stage) => ({ stage, total: 0 }));
  for (let job = 0; job < run.n; job++) {
    const sum = sums[run.stage[job] ?? 0];
    for (const use of usesOf(run, columns, toMs, amount, [job])) if (sum) sum.total += use.amount;
  }
  const ranked = sums.filter(({ total }) => total > 0).sort((a, b) => b.total - a.total);
  const kept = ranked.length > MAX_LAYERS + 1 ? MAX_LAYERS : ranked.length;
  const layerOf = new Map(ranked.map(({ stage }, rank) => [stage, Math.min(rank, kept)]));
  const count = Math.min(ranked.length, kept + 1);
  return Array.from({ length: count }, (_, layer) => {
    const mine: Amount = (job, tookMs) =>
      layerOf.get(run.stage[job] ?? 0) === layer ? amount(job, tookMs) : 0;
    const inside = ranked.filter((_sum, rank) => Math.min(rank, kept) === layer);
    const alone = inside.length === 1 ? run.stages[inside[0]?.stage ?? 0]?.name : undefined;
    return {
      name: alone ?? plural(inside.length, "other stage"),
      stages: inside.map(({ stage }) => stage),
      total: inside.reduce((all, { total }) => all + total, 0),
      values: accrued(usesOf(run, columns, toMs, mine), fromMs, toMs, bins),
    };
  });
}
