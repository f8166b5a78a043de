/** Numbers and text as a person reads them. */

import { SEGMENTS, type SegmentName, segmentCounts, WORDS } from "./states";

const COUNT = new Intl.NumberFormat("en-US");

/** 30000 → "30,000". */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** "24 jobs", "1 job". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** 65000 → "1 min 05 s"; seconds below an hour, minutes below a day. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  const pad = (value: number): string => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${pad(hours % 24)} h`;
}

/** A short time of one job: tenths of a second below ten, "<0.1 s" for what is too short to say. */
export function formatTook(durationMs: number): string {
  if (durationMs < 50) return "<0.1 s";
  return durationMs < 10_000 ? `${(durationMs / 1000).toFixed(1)} s` : formatDuration(durationMs);
}

/** 1610612736 → "1.5 GiB"; below zero it is at most so much, "under 13.2 MiB". */
export function formatBytes(bytes: number): string {
  if (bytes < 0) return `under ${formatBytes(-bytes)}`;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Local time of day, "10:31:02". */
export function formatTime(timeMs: number): string {
  return TIME.format(timeMs);
}

export interface CountPart {
  /** null for the total, which is no part of the bar. */
  segment: SegmentName | null;
  text: string;
}

/** "12 of 24 done", then each part of the bar in its order: "11 succeeded", "1 reused", "1 failed", …; only what is not zero. */
export function countParts(counts: Uint32Array): CountPart[] {
  const segments = segmentCounts(counts);
  const total = segments.reduce((sum, count) => sum + count, 0);
  const done = doneCount(counts);
  const parts: CountPart[] = [{ segment: null, text: `${formatCount(done)} of ${formatCount(total)} done` }];
  SEGMENTS.forEach(({ name }, index) => {
    const count = segments[index] ?? 0;
    const saidAlready = name === "success" && count === total;
    if (count > 0 && !saidAlready) {
      const word = name === "waiting" ? name : WORDS[name];
      parts.push({ segment: name, text: `${formatCount(count)} ${word}` });
    }
  });
  return parts;
}

/** Jobs with a result: those that succeeded here or in an earlier run. */
export function doneCount(counts: Uint32Array): number {
  const [succeeded = 0, reused = 0] = segmentCounts(counts);
  return succeeded + reused;
}

export function countSentence(counts: Uint32Array): string {
  return countParts(counts)
    .map((part) => part.text)
    .join(" · ");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is removed
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

/** Log text without colour codes; a line redrawn with carriage returns keeps its last drawing. */
export function plainLog(text: string): string {
  return text
    .replace(ESCAPES, "")
    .replace(/\r\n/g, "\n")
    .replace(/[^\n]*\r(?=[^\n])/g, "")
    .replace(/\r/g, "");
}
