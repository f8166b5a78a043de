/** All runs as they were at the last look, and when to look again. No DOM. */

import type { RunList, RunRow } from "../contract";
import type { Fetched } from "../request";
import { endedSince } from "./rows";

export type Listener = (ended: readonly RunRow[]) => void;

/** What the panel and the status bar show. */
export interface Listing {
  /** null until the first answer. */
  readonly rows: readonly RunRow[] | null;
  readonly running: readonly RunRow[];
  /** Why the last look failed, or "". */
  readonly trouble: string;
  /** The same of what is there beside, which is said quietly. */
  readonly note: string;
  /** Whether there are older rows to ask for. */
  readonly more: boolean;
  nowMs(): number;
  subscribe(listener: Listener): () => void;
  refresh(): Promise<void>;
  showMore(): Promise<void>;
}

/** Longest pause between two looks while the server does not answer, in ms. */
const LONGEST_MS = 60_000;

export class Runs implements Listing {
  rows: readonly RunRow[] | null = null;
  trouble = "";
  readonly note = "";
  readonly more = false;
  readonly #fetch: () => Promise<Fetched<RunList>>;
  readonly #listeners = new Set<Listener>();
  readonly #isWanted: () => boolean;
  #offsetMs = 0;
  /** The server's time at the last look. */
  #lookedMs = 0;
  #nFailed = 0;
  #pollMs = 2000;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> | null = null;
  #disposed = false;

  /** `isWanted` tells whether somebody looks at the rows; while a run goes on they are fetched anyway. */
  constructor(fetch: () => Promise<Fetched<RunList>>, isWanted: () => boolean) {
    this.#fetch = fetch;
    this.#isWanted = isWanted;
  }

  /** The server's time. */
  nowMs(): number {
    return Date.now() + this.#offsetMs;
  }

  get running(): readonly RunRow[] {
    return this.rows?.filter((row) => !row.complete) ?? [];
  }

  /** Calls `listener` after every look with the runs that have ended since the one before; gives what stops it. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setPoll(seconds: number): void {
    this.#pollMs = 1000 * seconds;
    this.#plan();
  }

  /** Looks now; two calls at a time are one look. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
      this.#plan();
    });
    return this.#looking;
  }

  showMore(): Promise<void> {
    return this.refresh();
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    const found = await this.#fetch();
    if (this.#disposed) return;
    const before = this.rows;
    this.#nFailed = found.ok ? 0 : this.#nFailed + 1;
    this.trouble = found.ok ? "" : found.text;
    if (found.ok) {
      this.rows = found.value.runs;
      this.#offsetMs = found.value.now_ms - Date.now();
    }
    const ended = found.ok ? endedSince(before, found.value.runs, this.#lookedMs) : [];
    if (found.ok) this.#lookedMs = found.value.now_ms;
    for (const listener of this.#listeners) listener(ended);
  }

  /** The next look is a pause away, when anybody wants it. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#disposed || this.#looking || (!this.#isWanted() && this.running.length === 0)) return;
    const pauseMs = Math.min(this.#pollMs * 2 ** this.#nFailed, Math.max(LONGEST_MS, this.#pollMs));
    this.#timer = setTimeout(() => void this.refresh(), pauseMs);
  }
}
