/** Dollars and core-hours as a person reads them, as the tables of the notebook write them. */

const WHOLE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** "$0", "$0.000021", "$0.0217", "$3.42", "$1,204.00". */
export function formatUsd(usd: number): string {
  if (usd === 0) return "$0";
  if (usd < 0.000_000_5) return "under $0.000001";
  return `$${usd >= 1 ? WHOLE.format(usd) : usd.toFixed(usd >= 0.01 ? 4 : 6)}`;
}

/** "0", "0.004", "12.5". */
export function formatHours(hours: number): string {
  if (hours > 0 && hours < 0.001) return hours.toPrecision(1);
  return hours === 0 ? "0" : hours.toFixed(hours >= 10 ? 1 : 3);
}
