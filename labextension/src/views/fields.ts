/** The columns of the table of jobs: what each shows, what it is sorted by, what it needs of the kernel. */

import type { ColumnName } from "../contract";
import { formatBytes, formatTime, formatTook } from "../format";
import type { Run } from "../runs";
import { WORDS } from "../states";
import type { Columns } from "./columns";

export type FieldName = "number" | "name" | "state" | "started" | "took" | "exit" | "rss" | "attempt";

export interface Source {
  run: Run;
  columns: Columns;
  /** The kernel's time, in ms. */
  nowMs: number;
}

export interface Field {
  name: FieldName;
  title: string;
  needs: readonly ColumnName[];
  /** Numbers stand to the right, and are sorted from the largest first. */
  number: boolean;
  text(source: Source, job: number): string;
  key(source: Source, job: number): number;
}

/** States in the order of the table: what failed first. */
const RANKS: readonly number[] = [7, 6, 5, 2, 8, 0, 1, 4, 9];

export function tookMs({ columns, nowMs }: Source, job: number): number {
  const ended = columns.value("ended", job);
  return (Number.isNaN(ended) ? nowMs : ended) - columns.value("started", job);
}

function shown(value: number, format: (value: number) => string): string {
  return Number.isNaN(value) ? "" : format(value);
}

export const FIELDS: readonly Field[] = [
  {
    name: "number",
    title: "#",
    needs: [],
    number: true,
    text: (_, job) => String(job + 1),
    key: (_, job) => job,
  },
  {
    name: "name",
    title: "Job",
    needs: [],
    number: false,
    text: ({ run }, job) => run.name(job),
    key: (_, job) => job,
  },
  {
    name: "state",
    title: "State",
    needs: [],
    number: false,
    text: ({ run }, job) => WORDS[run.stateOf(job)],
    key: ({ run }, job) => RANKS[(run.state[job] ?? 0) & 8 ? 8 : (run.state[job] ?? 0)] ?? 0,
  },
  {
    name: "started",
    title: "Started",
    needs: ["started"],
    number: true,
    text: ({ columns }, job) => shown(columns.value("started", job), formatTime),
    key: ({ columns }, job) => columns.value("started", job),
  },
  {
    name: "took",
    title: "Took",
    needs: ["started", "ended"],
    number: true,
    text: (source, job) => shown(tookMs(source, job), formatTook),
    key: (source, job) => tookMs(source, job),
  },
  {
    name: "rss",
    title: "Peak memory",
    needs: ["rss"],
    number: true,
    text: ({ columns }, job) => shown(1024 * columns.value("rss", job), formatBytes),
    key: ({ columns }, job) => Math.abs(columns.value("rss", job)),
  },
  {
    name: "attempt",
    title: "Attempt",
    needs: ["attempt"],
    number: true,
    text: ({ columns }, job) => shown(columns.value("attempt", job) || Number.NaN, String),
    key: ({ columns }, job) => columns.value("attempt", job),
  },
  {
    name: "exit",
    title: "Exit code",
    needs: ["exit"],
    number: true,
    text: ({ columns }, job) => shown(columns.value("exit", job), String),
    key: ({ columns }, job) => columns.value("exit", job),
  },
];

export const TABLE_COLUMNS: readonly ColumnName[] = [...new Set(FIELDS.flatMap(({ needs }) => needs))];

/** Where the run has groups. */
export const GROUPED_COLUMNS: readonly ColumnName[] = [...TABLE_COLUMNS, "group"];
