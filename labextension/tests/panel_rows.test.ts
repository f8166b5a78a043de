import { describe, expect, test } from "vitest";
import type { RunRow } from "../src/contract";
import { noticesOf } from "../src/panel/notices";
import {
  ageOf,
  chipOfRow,
  endedSince,
  factsOf,
  formatAgo,
  isShown,
  matches,
  notebookName,
  progressText,
  type ShownState,
} from "../src/panel/rows";
import { row } from "./rows";

describe("a row", () => {
  test.each<[string, Partial<RunRow>]>([
    ["Running", {}],
    ["Failing", { state: "failure" }],
    ["Cancelling", { cancelling: true }],
    ["Succeeded", { state: "success", complete: true }],
    ["Failed", { state: "failure", complete: true }],
    ["Stopped", { state: "cancelled", complete: true, lost: true }],
  ])("has the widget's word %s", (word, changed) => {
    expect(chipOfRow(row(changed)).word).toBe(word);
  });

  test("tells how many jobs have a result, reused ones too", () => {
    expect(progressText(row({ n_jobs: 24, counts: [10, 0, 0, 1, 11, 0, 0, 0, 1] }))).toBe("12 of 24");
    expect(progressText(row({ n_jobs: 1200, counts: null }))).toBe("1,200 jobs");
  });

  test("tells how long it has run, and when it ended", () => {
    expect(ageOf(row({ created_ms: 1000 }), 66_000)).toBe("1 min 05 s");
    expect(ageOf(row({ complete: true, ended_ms: 0 }), 7_200_000)).toBe("2 h ago");
    expect([1000, 60_000, 47 * 3_600_000, 48 * 3_600_000].map(formatAgo)).toEqual([
      "just now",
      "1 min ago",
      "47 h ago",
      "2 d ago",
    ]);
  });

  test("is found by words of its name, state, backend and notebook", () => {
    const made = row({ name: "Survey", state: "failure", complete: true, notebook: "/home/u/Study.ipynb" });

    expect(notebookName(made)).toBe("Study.ipynb");
    for (const filter of ["", "survey", "FAILED local", "study.ipynb  surv"])
      expect(matches(made, filter)).toBe(true);
    for (const filter of ["running", "survey other"]) expect(matches(made, filter)).toBe(false);
  });
});

describe("what is shown", () => {
  const done = { complete: true, ended_ms: 0 } as const;

  test.each<[ShownState, string]>([
    ["All", "running failing won lost broken dropped"],
    ["Running", "running failing"],
    ["Failed", "failing lost broken"],
    ["Succeeded", "won"],
    ["Cancelled", "dropped"],
  ])("of the list %s is %s", (shown, names) => {
    const rows = [
      row({ name: "running" }),
      row({ name: "failing", state: "failure" }),
      row({ name: "won", state: "success", ...done }),
      row({ name: "lost", state: "cancelled", lost: true, ...done }),
      row({ name: "broken", state: "failure", ...done }),
      row({ name: "dropped", state: "cancelled", ...done }),
    ];

    expect(
      rows
        .filter((one) => isShown(one, shown))
        .map(({ name }) => name)
        .join(" "),
    ).toBe(names);
  });

  test("says what a batch cost when it cost something", () => {
    expect(factsOf(row({ cost_usd: 1.5, backend: "service" }), 0)).toBe("1 of 3 · 0 s · $1.50 · service");
    expect(factsOf(row({ cost_usd: 0 }), 0)).toBe("1 of 3 · 0 s · local");
  });
});

describe("what has ended", () => {
  test("is not what an older page has brought", () => {
    const old = row({ run_id: "old", complete: true, ended_ms: 5, created_ms: 0 });

    expect(endedSince([row({ run_id: "a" })], [old], 120_000)).toEqual([]);
    expect(endedSince([row({ run_id: "a" })], [{ ...old, created_ms: 100_000 }], 120_000)).toHaveLength(1);
  });

  const done = { complete: true, ended_ms: 20_000, state: "success" } as const;

  test("is none at the first look, then what ran or was not there before", () => {
    const now = [row({ run_id: "a", ...done }), row({ run_id: "b", ...done }), row({ run_id: "c", ...done })];

    expect(endedSince(null, now, 0)).toEqual([]);
    const before = [row({ run_id: "a" }), row({ run_id: "b", ...done })];
    expect(endedSince(before, now, 0).map(({ run_id }) => run_id)).toEqual(["a", "c"]);
  });

  test("is told one by one, short ones not at all", () => {
    const long = row({
      ...done,
      name: "survey",
      created_ms: 5000,
      n_jobs: 2,
      counts: [0, 0, 0, 0, 2, 0, 0, 0, 0],
    });
    const short = row({ ...done, created_ms: 19_000 });

    expect(noticesOf([long, short], 10_000)).toEqual([
      { text: "survey: succeeded after 15 s, 2 of 2 jobs done", kind: "success", row: long },
    ]);
    expect(noticesOf([short], 0)[0]?.text).toContain("after 1 s");
  });

  test("is told in one notice when it is much", () => {
    const many = [1, 2, 3, 4].map((id) =>
      row({ ...done, run_id: `${id}`, state: id === 1 ? "failure" : "success" }),
    );

    expect(noticesOf(many, 0)).toEqual([
      { text: "4 batches have ended, 1 of them failed", kind: "error", row: null },
    ]);
  });
});
