import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { changes, clock, type Graph, head, snapshot } from "./fixtures";
import { find, Shown } from "./shown";

const LENGTH = 60;

/** A long chain of single jobs, far wider than the page. */
const CHAIN: Graph = {
  names: Array.from({ length: LENGTH }, (_, job) => `step ${job}`),
  stages: Array.from({ length: LENGTH }, (_, job) => `step ${job}`),
  edges: Array.from({ length: LENGTH - 1 }, (_, job): [number, number] => [job, job + 1]),
};

let shown: Shown;

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(600);
  shown = new Shown();
});

afterEach(() => {
  shown.end();
  vi.restoreAllMocks();
});

const jobs = (cell: Element): number[] =>
  [...cell.querySelectorAll<HTMLElement>(".hbj-node")].map((node) => Number(node.dataset.job));

const edges = (cell: Element): number => cell.querySelectorAll(".hbj-edge").length;

/** The first frame, and nothing after it. */
const firstFrame = (graph: Graph, run = head()): HTMLElement => {
  const cell = shown.show();
  shown.model.deliver(snapshot(graph, { run }));
  vi.advanceTimersToNextFrame();
  return cell;
};

test("the first frame has what is in sight, those after it the rest, in the order of the graph", () => {
  const cell = firstFrame(CHAIN);
  const inSight = jobs(cell);

  expect(inSight.slice(0, 4)).toEqual([0, 1, 2, 3]);
  expect(inSight.length).toBeLessThan(12);
  expect(edges(cell)).toBe(inSight.length);

  vi.advanceTimersByTime(1000);

  expect(jobs(cell)).toEqual([...CHAIN.names.keys()]);
  expect(edges(cell)).toBe(LENGTH - 1);
});

test("what failed far away is in sight at the end of a run, in its place between the others", () => {
  const codes = CHAIN.names.map((_, job) => (job === 40 ? 5 : 4));
  const cell = firstFrame({ ...CHAIN, codes }, head({ clock: clock({ complete: true, state: "failure" }) }));

  expect(jobs(cell)).toContain(40);
  expect(jobs(cell)).not.toContain(20);
  expect(find(cell, '[data-job="40"]').dataset.state).toBe("failed");
  expect(jobs(cell)).toEqual(jobs(cell).sort((a, b) => a - b));
});

test("a node that comes later has the state, the mark and the edge of now", () => {
  shown.model.traits.selected_job = 50;
  const cell = firstFrame(CHAIN);
  expect(cell.querySelector('[data-job="50"]')).toBeNull();
  shown.model.deliver(changes([[50, 4], [51, 3]])); // biome-ignore format: two jobs

  vi.advanceTimersByTime(1000);

  expect(find(cell, '[data-job="50"]').dataset.state).toBe("success");
  expect(find(cell, '[data-job="50"]').hasAttribute("data-marked")).toBe(true);
  expect(cell.querySelectorAll("[data-marked]")).toHaveLength(1);
  expect(cell.querySelectorAll('.hbj-edge[data-flow="active"]')).toHaveLength(1);
});

test("scrolling makes what comes into sight at once, and the End key the last node", () => {
  const cell = firstFrame(CHAIN);
  const graph = find(cell, ".hbj-dag");
  graph.scrollLeft = 4000;
  graph.dispatchEvent(new Event("scroll"));

  expect(jobs(cell).some((job) => job > 20)).toBe(true);
  expect(jobs(cell).at(-1)).toBeLessThan(LENGTH - 1);

  find(cell, '[data-job="0"]').focus();
  graph.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));

  expect((document.activeElement as HTMLElement).dataset.job).toBe(String(LENGTH - 1));
});

test("a view that has gone makes nothing more", () => {
  const cell = firstFrame(CHAIN);
  const before = jobs(cell).length;
  const root = find(cell, ".hbj-root");
  shown.endLast();
  vi.advanceTimersByTime(1000);

  expect(root.querySelectorAll(".hbj-node")).toHaveLength(before);
});
