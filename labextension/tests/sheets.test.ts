import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DIAMOND, LINE } from "./fixtures";
import { find, Shown } from "./shown";

let shown: Shown;

beforeEach(() => {
  shown = new Shown();
});

afterEach(() => shown.end());

describe("a stack", () => {
  test("opens to a cell for each of its jobs, and closes again", () => {
    const cell = shown.begin({ ...DIAMOND, codes: [4, 4, 3, 5, 0, 0] });
    const stack = find(cell, '.hbj-node[data-name="fit"]');
    expect([stack.dataset.stage, stack.dataset.state]).toEqual(["1", "failed"]);

    stack.click();
    const cells = [...cell.querySelectorAll<HTMLElement>(".hbj-cell")];
    expect(cells.map((one) => [one.dataset.job, one.dataset.state])).toEqual([
      ["1", "success"],
      ["2", "running"],
      ["3", "failed"],
      ["4", "pending"],
    ]);
    expect(stack.getAttribute("aria-expanded")).toBe("true");

    stack.click();
    expect(cell.querySelector(".hbj-cell")).toBeNull();
    expect(stack.getAttribute("aria-expanded")).toBe("false");
  });

  test("of many jobs has elements for those in sight only", () => {
    const names = Array.from({ length: 5000 }, (_, job) => `fit-${job}`);
    const cell = shown.begin({ names, stages: names.map(() => "fit"), edges: [] });
    find(cell, ".hbj-node").click();

    expect(cell.querySelectorAll(".hbj-cell").length).toBeLessThan(1500);
  });
});

describe("the details of a job", () => {
  test("have a frame at once, and Escape gives the focus back", () => {
    const cell = shown.begin({ ...LINE, codes: [4, 4, 3] });
    const node = find(cell, '[data-job="1"]');
    node.click();
    expect(shown.model.kinds()).toContain("views");
    expect(find(cell, ".hbj-details").textContent).toContain("Asking the kernel…");
    expect(document.activeElement).toBe(find(cell, ".hbj-details"));

    find(cell, ".hbj-details").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(cell.querySelector(".hbj-details")).toBeNull();
    expect(document.activeElement).toBe(node);
  });

  test("that do not come are explained", () => {
    const cell = shown.begin();
    find(cell, '[data-job="1"]').click();
    vi.advanceTimersByTime(1600);

    expect(find(cell, ".hbj-details").textContent).toContain("The kernel is busy");
  });
});
