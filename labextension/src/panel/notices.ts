/** What is told when batches have ended: one notice each, or one for many. No DOM. */

import type { RunRow } from "../contract";
import { formatCount, formatDuration } from "../format";
import { chipOfRow, doneOf, titleOf } from "./rows";

export interface Notice {
  text: string;
  kind: "success" | "error" | "info";
  /** The run to open; null for many. */
  row: RunRow | null;
}

/** More than this at a time are told in one notice. */
const MANY = 3;

/** Notices about runs that took `shortestMs` at least. */
export function noticesOf(ended: readonly RunRow[], shortestMs: number): Notice[] {
  const told = ended.filter((row) => tookMs(row) >= shortestMs);
  if (told.length <= MANY) return told.map(noticeOf);
  const nBroken = told.filter((row) => kindOf(row) === "error").length;
  const text = `${formatCount(told.length)} batches have ended, ${formatCount(nBroken)} of them failed`;
  return [{ text, kind: nBroken ? "error" : "success", row: null }];
}

function noticeOf(row: RunRow): Notice {
  const done = doneOf(row);
  const jobs = done === null ? "" : `, ${formatCount(done)} of ${formatCount(row.n_jobs)} jobs done`;
  const text = `${titleOf(row)}: ${chipOfRow(row).word.toLowerCase()} after ${formatDuration(tookMs(row))}${jobs}`;
  return { text, kind: kindOf(row), row };
}

function kindOf(row: RunRow): Notice["kind"] {
  if (row.lost || row.state === "failure") return "error";
  return row.state === "success" ? "success" : "info";
}

function tookMs(row: RunRow): number {
  return Math.max(0, (row.ended_ms ?? row.created_ms) - row.created_ms);
}
