/** Numbers and text as a person reads them. */

import { segmentCounts } from "./states";

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

/** A short time of one job: tenths of a second below ten. */
export function formatTook(durationMs: number): string {
  return durationMs < 10_000 ? `${(durationMs / 1000).toFixed(1)} s` : formatDuration(durationMs);
}

/** 1610612736 → "1.5 GiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** Local time of day, "10:31:02". */
export function formatTime(timeMs: number): string {
  return new Date(timeMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export interface CountPart {
  segment: string;
  text: string;
}

/** "12 of 24 done", "2 running", "1 failed", … : only what is not zero, done first. */
export function countParts(counts: Uint32Array): CountPart[] {
  const [success = 0, reused = 0, running = 0, failed = 0, cancelled = 0, waiting = 0] =
    segmentCounts(counts);
  const total = success + reused + running + failed + cancelled + waiting;
  const parts: CountPart[] = [
    { segment: "success", text: `${formatCount(success + reused)} of ${formatCount(total)} done` },
  ];
  const add = (segment: string, count: number): void => {
    if (count) parts.push({ segment, text: `${formatCount(count)} ${segment}` });
  };
  add("running", running);
  add("failed", failed);
  add("reused", reused);
  add("cancelled", cancelled);
  if (running + failed + cancelled > 0) add("waiting", waiting);
  return parts;
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
