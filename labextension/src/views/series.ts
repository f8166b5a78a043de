/** Sums over time: how much of something was in use at each moment. Pure. */

/** Something in use from `begin` to `end`, both in ms. */
export interface Use {
  begin: number;
  end: number;
  amount: number;
}

/** The average amount in use in each of `bins` equal parts of a time; each use costs the same however long it is. */
export function inUse(uses: Iterable<Use>, fromMs: number, toMs: number, bins: number): Float64Array {
  const part = new Float64Array(bins + 1);
  const step = new Float64Array(bins + 2);
  const scale = bins / Math.max(1, toMs - fromMs);
  const add = (momentMs: number, amount: number): void => {
    const at = Math.max(0, Math.min(bins, (momentMs - fromMs) * scale));
    const bin = Math.floor(at);
    part[bin] = (part[bin] ?? 0) + amount * (bin + 1 - at);
    step[bin + 1] = (step[bin + 1] ?? 0) + amount;
  };
  for (const { begin, end, amount } of uses) {
    if (!(end > begin)) continue;
    add(begin, amount);
    add(end, -amount);
  }
  const sums = new Float64Array(bins);
  let before = 0;
  for (let bin = 0; bin < bins; bin++) {
    before += step[bin] ?? 0;
    sums[bin] = Math.max(0, before + (part[bin] ?? 0));
  }
  return sums;
}

/** What had come together by the end of each part: every `amount` comes evenly between its `begin` and its `end`. */
export function accrued(uses: Iterable<Use>, fromMs: number, toMs: number, bins: number): Float64Array {
  const binMs = Math.max(1, toMs - fromMs) / bins;
  const sums = inUse(evenly(uses), fromMs, toMs, bins);
  let before = 0;
  for (let bin = 0; bin < bins; bin++) {
    before += (sums[bin] ?? 0) * binMs;
    sums[bin] = before;
  }
  return sums;
}

/** The same by the millisecond; what came at once counts in the millisecond before. */
function* evenly(uses: Iterable<Use>): Generator<Use> {
  for (const { begin, end, amount } of uses) {
    const tookMs = Math.max(1, end - begin);
    yield { begin: end - tookMs, end, amount: amount / tookMs };
  }
}

/** A round number not below the largest value, for the top of an axis. */
export function roundTop(largest: number): number {
  if (!(largest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  const factor = [1, 2, 5, 10].find((one) => one * power >= largest * 0.9999) ?? 10;
  return factor * power;
}
