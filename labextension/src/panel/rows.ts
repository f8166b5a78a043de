/** What the panel says of runs, from the server's rows: words, ages, which match a filter, which have ended just now. No DOM. */

import type { RunRow } from "../contract";
import { formatCount, formatDuration } from "../format";
import { chipOf } from "../widget/header";

export type Chip = ReturnType<typeof chipOf>;

/** Colour, shape and word of a run, the same as the widget's. */
export function chipOfRow(row: RunRow): Chip {
  return chipOf(row, row.cancelling);
}

/** The name that the user gave, else the id. */
export function titleOf({ name, run_id }: RunRow): string {
  return name || run_id;
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

/** Runs that went on, or were not there, at the last look and have ended now; none at the first look. */
export function endedSince(before: readonly RunRow[] | null, now: readonly RunRow[]): RunRow[] {
  if (!before) return [];
  const old = new Set(before.filter((row) => row.complete).map((row) => row.run_id));
  return now.filter((row) => row.complete && row.ended_ms !== null && !old.has(row.run_id));
}
