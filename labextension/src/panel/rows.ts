/** What the panel says of runs, from the server's rows: words, ages, which match a filter, which have ended just now. No DOM. */

import type { RunRow } from "../contract";
import { formatCount, formatDuration } from "../format";
import { formatUsd } from "../views/money";
import { chipOf } from "../widget/header";

/** Clocks of two machines may differ by so much. */
const CLOCKS_DIFFER_MS = 60_000;

export type Chip = ReturnType<typeof chipOf>;

/** Colour, shape and word of a run, the same as the widget's. */
export function chipOfRow(row: RunRow): Chip {
  return chipOf(row, row.cancelling);
}

/** The name that the user gave, else the id. */
export function titleOf({ name, run_id }: RunRow): string {
  return name || run_id;
}

/** Whether it is a batch of the batch service, whose id is its number. */
export function isOfService({ run_id }: RunRow): boolean {
  return /^[0-9]+$/.test(run_id);
}

/** Whether something in it can be done again; a batch service does nothing again. */
export function isRetriable(row: RunRow): boolean {
  return row.complete && row.state !== "success" && !isOfService(row);
}

/** "study.ipynb" of its path, "" for a run that no notebook made. */
export function notebookName({ notebook }: RunRow): string {
  return notebook.slice(notebook.lastIndexOf("/") + 1);
}

/** "running 1 min 05 s" for one that goes on, else how long ago it ended: "3 h ago". */
export function ageOf(row: RunRow, nowMs: number): string {
  if (!row.complete) return formatDuration(Math.max(0, nowMs - row.created_ms));
  return formatAgo(Math.max(0, nowMs - (row.ended_ms ?? row.created_ms)));
}

/** 7 200 000 → "2 h ago". */
export function formatAgo(durationMs: number): string {
  const minutes = Math.floor(durationMs / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

/** Jobs with a result, null while that is not known. */
export function doneOf({ counts }: RunRow): number | null {
  return counts && (counts[4] ?? 0) + (counts[8] ?? 0);
}

/** "12 of 24", "24 jobs" while the rest is not known. */
export function progressText(row: RunRow): string {
  const done = doneOf(row);
  const total = formatCount(row.n_jobs);
  return done === null ? `${total} jobs` : `${formatCount(done)} of ${total}`;
}

/** "2 of 3 · 1 min 05 s · $0.0123 · local". */
export function factsOf(row: RunRow, nowMs: number): string {
  const cost = row.cost_usd ? formatUsd(row.cost_usd) : "";
  return [progressText(row), ageOf(row, nowMs), cost, row.backend].filter((part) => part).join(" · ");
}

/** What the panel may be narrowed to, in the words of its list. */
export const SHOWN_STATES = ["All", "Running", "Failed", "Succeeded", "Cancelled"] as const;

export type ShownState = (typeof SHOWN_STATES)[number];

/** A batch that fails already is with the failed ones, though it still runs. */
export function isShown(row: RunRow, shown: ShownState): boolean {
  if (shown === "All") return true;
  if (shown === "Running") return !row.complete;
  if (shown === "Failed") return row.lost || row.state === "failure";
  return row.complete && !row.lost && row.state === (shown === "Succeeded" ? "success" : "cancelled");
}

/** Every word must occur in its name, id, state, backend or notebook, in any case. */
export function matches(row: RunRow, filter: string): boolean {
  const text = [row.name, row.run_id, chipOfRow(row).word, row.backend, row.notebook]
    .join("\n")
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** Runs that went on at the last look, or were made since, and have ended now; none at the first look. */
export function endedSince(
  before: readonly RunRow[] | null,
  now: readonly RunRow[],
  lookedMs: number,
): RunRow[] {
  if (!before) return [];
  const old = new Map(before.map((row) => [row.run_id, row.complete]));
  // A row that was not there may be an old one of a further page; a service's clock is its own.
  const isNews = (row: RunRow): boolean =>
    old.has(row.run_id) ? !old.get(row.run_id) : row.created_ms > lookedMs - CLOCKS_DIFFER_MS;
  return now.filter((row) => row.complete && row.ended_ms !== null && isNews(row));
}
