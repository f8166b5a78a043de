import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { MakeViews } from "../src/views/host";
import makeViews from "../src/views/index";
import makeWidget from "../src/widget";
import { DIAMOND, FakeModel, snapshot } from "./fixtures";
import { find, frame } from "./shown";

let model: FakeModel;
let end: (() => void)[];

beforeEach(() => {
  vi.useFakeTimers({ now: 2_000_000 });
  model = new FakeModel();
  end = [];
});

afterEach(() => {
  for (const one of end) one();
  document.body.replaceChildren();
  vi.useRealTimers();
});

/** The one view of that name, after its first snapshot. */
function shown(view: string): HTMLElement {
  model.traits.view = view;
  const cell = document.createElement("div");
  document.body.append(cell);
  const widget = makeWidget(async (): Promise<MakeViews> => makeViews);
  const initialized = widget.initialize({ model });
  end.push(widget.render({ model, el: cell }), initialized);
  model.deliver(snapshot({ ...DIAMOND, codes: [4, 4, 3, 5, 0, 0] }));
  frame();
  return cell;
}

async function answerViews(): Promise<void> {
  const request = model.sent.filter((message) => message.kind === "views").at(-1);
  const buffer = new DataView(new TextEncoder().encode("js.css{}").buffer);
  const answer = { kind: "views", request: request && "request" in request ? request.request : 0, script: 2 };
  model.deliver({ content: { ...answer, deflate: false }, buffer });
  await vi.advanceTimersByTimeAsync(50);
}

test("a graph by itself says which it is and asks for no other view", () => {
  const cell = shown("graph");

  expect(find(cell, ".hbj-root").dataset.only).toBe("graph");
  expect(cell.querySelectorAll(".hbj-node")).not.toHaveLength(0);
  expect(model.kinds()).not.toContain("views");
});

test("a line of progress draws no graph", () => {
  const cell = shown("progress");

  expect(cell.querySelectorAll(".hbj-node")).toHaveLength(0);
  expect(find(cell, "[role=progressbar]").getAttribute("aria-valuemax")).toBe("6");
});

test("a table by itself loads its module at once, and marks the job that is chosen elsewhere", async () => {
  model.traits.selected_job = 2;
  const cell = shown("jobs");
  await answerViews();

  expect(cell.querySelectorAll(".hbj-trs > .hbj-tr")).toHaveLength(6);
  expect(find(cell, "[data-marked]").dataset.job).toBe("2");
  model.set("selected_job", 4);
  expect(find(cell, "[data-marked]").dataset.job).toBe("4");
  model.set("selected_job", null);
  expect(cell.querySelectorAll("[data-marked]")).toHaveLength(0);
});

test("a job that is chosen is told to the kernel and marked, whichever way it was opened", () => {
  const cell = shown("graph");

  find(cell, '[data-kind="job"]').click();
  expect(model.traits.selected_job).toBe(0);
  expect(find(cell, "[data-marked]").dataset.name).toBe("prepare");
  find(cell, '[data-kind="stage"]').click();
  find(cell, '.hbj-cell[data-index="1"]').click();
  expect(model.traits.selected_job).toBe(2);
  expect(find(cell, "[data-marked]").dataset.name).toBe("fit");
});

test("a view that has ended no longer listens", () => {
  shown("graph");
  for (const one of end.splice(0)) one();

  expect(model.nListeners).toBe(0);
});
