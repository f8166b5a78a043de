import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ColumnName, type ColumnsAnswer, NO_TIME, type Question, type Reply } from "../src/contract";
import { Run } from "../src/runs";
import { AGAIN_MS, Columns } from "../src/views/columns";
import { bytesOf, changes, DIAMOND, snapshot } from "./fixtures";

type Hear = (reply: Reply, bytes: Uint8Array) => void;

/** Keeps the questions, and answers the last of them. */
class Asked {
  readonly questions: Question[] = [];
  private hear: Hear = () => {};

  ask = (question: Question, hear: Hear): (() => void) => {
    this.questions.push(question);
    this.hear = hear;
    return () => {};
  };

  carryOut = (): void => {};
  openRun = (): boolean => false;
  openJob = (): void => {};

  /** `rows` of unsigned numbers, a column each. */
  answer(names: ColumnName[], columns: number[][]): void {
    const count = columns[0]?.length ?? 0;
    const view = new DataView(new ArrayBuffer(4 * names.length * count));
    columns.flat().forEach((value, index) => {
      view.setUint32(4 * index, value, true);
    });
    const head: ColumnsAnswer = { kind: "columns", request: 1, names, base_ms: 1000, count, deflate: false };
    this.hear(head, new Uint8Array(view.buffer));
  }
}

const stop = new AbortController();
let asked: Asked;
let run: Run;
let columns: Columns;

beforeEach(() => {
  vi.useFakeTimers({ now: 5_000_000 });
  asked = new Asked();
  const shown = snapshot({ ...DIAMOND, codes: [4, 3, 0, 0, 0, 0] });
  run = Run.read(shown.content, bytesOf(shown));
  columns = new Columns(asked, run, () => {}, stop.signal);
});

afterEach(() => vi.useRealTimers());

test("all jobs are asked for window by window, as much as each answer gives", () => {
  columns.update(run, ["started", "slot"]);
  expect(asked.questions).toEqual([{ kind: "columns", names: ["started", "slot"], first: 0, count: 6 }]);
  expect(columns.has(["started"])).toBe(false);

  asked.answer(
    ["started", "slot"],
    [
      [5, NO_TIME, 7, 8],
      [0, 0xffff_ffff, 1, 2],
    ],
  );
  expect(asked.questions.at(-1)).toEqual({ kind: "columns", names: ["started", "slot"], first: 4, count: 2 });
  asked.answer(
    ["started", "slot"],
    [
      [9, 10],
      [3, 4],
    ],
  );

  expect([0, 1, 5].map((job) => columns.value("started", job))).toEqual([1005, Number.NaN, 1010]);
  expect([0, 1, 5].map((job) => columns.value("slot", job))).toEqual([0, Number.NaN, 4]);
  expect(columns.has(["started", "slot"])).toBe(true);
});

test("afterwards only the jobs that moved or run are asked for, once a second at most", () => {
  columns.update(run, ["started"]);
  asked.answer(["started"], [[1, 2, 3, 4, 5, 6]]);
  const moved = changes([[4, 4]]);
  run.apply(moved.content, bytesOf(moved));

  columns.update(run, ["started"]);
  expect(asked.questions).toHaveLength(1);
  vi.advanceTimersByTime(AGAIN_MS);
  expect(asked.questions.at(-1)).toEqual({ kind: "columns", names: ["started"], jobs: [1, 4] });

  asked.answer(["started"], [[20, 50]]);
  expect([columns.value("started", 1), columns.value("started", 4)]).toEqual([1020, 1050]);
});

test("a column that another view needs is asked for alone", () => {
  columns.update(run, ["started"]);
  asked.answer(["started"], [[1, 2, 3, 4, 5, 6]]);

  columns.update(run, ["rss"]);

  expect(asked.questions.at(-1)).toEqual({ kind: "columns", names: ["rss"], first: 0, count: 6 });
});
