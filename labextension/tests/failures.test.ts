import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { changes, failure } from "./fixtures";
import { find, Shown } from "./shown";

let shown: Shown;

beforeEach(() => {
  shown = new Shown();
});

afterEach(() => shown.end());

describe("failures", () => {
  test("show the end of the log as text, whatever it says", () => {
    const cell = shown.begin();
    const tail = "\u001b[31mError\u001b[0m <img src=x onerror=alert(1)>";
    shown.deliver(
      changes([[1, 5]], { failures: [failure({ name: "<b>fit</b>", tail, reason: "<i>why</i>" })] }),
    );

    expect(find(cell, ".hbj-failure .hbj-log").textContent).toBe("Error <img src=x onerror=alert(1)>");
    expect(find(cell, ".hbj-failure-head").textContent).toBe("<b>fit</b>failed · exit code 1 · <i>why</i>");
    expect(cell.querySelector("img, b, i")).toBeNull();
  });

  test("the first is open, the others are closed, and what the user opens stays open", () => {
    const cell = shown.begin();
    const failures = [failure(), failure({ job: 2, name: "report" })];
    shown.deliver(changes([[1, 5]], { failures }));
    const items = (): HTMLDetailsElement[] => [...cell.querySelectorAll<HTMLDetailsElement>(".hbj-failure")];
    expect(items().map((item) => item.open)).toEqual([true, false]);

    for (const item of items()) item.open = !item.open;
    shown.deliver(
      changes([], { from: 11, seq: 12, failures: [failure({ tail: "more" }), ...failures.slice(1)] }),
    );

    expect(items().map((item) => item.open)).toEqual([false, true]);
    expect(find(cell, ".hbj-log").textContent).toBe("more");
  });

  test("of which there are too many are counted", () => {
    const names = Array.from({ length: 30 }, (_, job) => `fit-${job}`);
    const failures = names.map((name, job) => failure({ job, name }));
    const cell = shown.begin(
      { names, stages: names.map(() => "fit"), edges: [], codes: names.map(() => 5) },
      { failures },
    );

    expect(cell.querySelectorAll(".hbj-failure")).toHaveLength(20);
    expect(find(cell, ".hbj-failures").textContent).toContain("30 jobs failed");
    expect(find(cell, ".hbj-failures").textContent).toContain("20 of 30 shown.");
  });
});
