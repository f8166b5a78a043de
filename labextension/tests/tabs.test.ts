import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { MakeViews } from "../src/views/host";
import makeViews from "../src/views/index";
import makeWidget from "../src/widget";
import { DIAMOND, FakeModel, snapshot } from "./fixtures";
import { find, frame } from "./shown";

let model: FakeModel;
let cell: HTMLElement;
let end: (() => void)[];

beforeEach(() => {
  vi.useFakeTimers({ now: 2_000_000 });
  model = new FakeModel();
  cell = document.createElement("div");
  document.body.append(cell);
  const widget = makeWidget(async (): Promise<MakeViews> => makeViews);
  const initialized = widget.initialize({ model });
  end = [widget.render({ model, el: cell }), initialized];
  model.deliver(snapshot({ ...DIAMOND, codes: [4, 4, 3, 5, 0, 0] }));
  frame();
});

afterEach(() => {
  for (const one of end) one();
  document.body.replaceChildren();
  vi.useRealTimers();
});

const tab = (title: string): HTMLElement =>
  [...cell.querySelectorAll<HTMLElement>("[role=tab]")].find((one) => one.textContent === title) ?? cell;

/** The kernel sends the module of the views. */
async function answerViews(): Promise<void> {
  const request = model.sent.filter((message) => message.kind === "views").at(-1);
  const buffer = new DataView(new TextEncoder().encode("js.css{}").buffer);
  const answer = { kind: "views", request: request && "request" in request ? request.request : 0, script: 2 };
  model.deliver({ content: { ...answer, deflate: false }, buffer });
  await vi.advanceTimersByTimeAsync(50);
}

describe("the tabs", () => {
  test("begin with the graph and ask for nothing", () => {
    expect(tab("Graph").getAttribute("aria-selected")).toBe("true");
    expect(model.kinds()).not.toContain("views");
    expect(model.kinds()).not.toContain("columns");
  });

  test("are moved along with the arrow keys, and name their panels", () => {
    tab("Graph").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    expect(tab("Resources").getAttribute("aria-selected")).toBe("true");
    expect(document.activeElement).toBe(tab("Resources"));
    tab("Resources").dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));

    const panel = document.getElementById(tab("Graph").getAttribute("aria-controls") ?? "");
    expect(panel?.getAttribute("aria-labelledby")).toBe(tab("Graph").id);
    expect(panel?.hidden).toBe(false);
    expect([...cell.querySelectorAll("[role=tab]")].map((one) => one.getAttribute("tabindex"))).toEqual([
      "0",
      "-1",
      "-1",
      "-1",
    ]);
  });

  test("load their views once, when one is opened", async () => {
    tab("Jobs").click();
    expect(find(cell, '[role="tabpanel"]:not([hidden])').textContent).toContain("Asking the kernel");
    await answerViews();

    expect(cell.querySelectorAll(".hbj-trs > .hbj-tr")).toHaveLength(6);
    expect(find(cell, "style").textContent).toBe(".css{}");
    tab("Graph").click();
    tab("Jobs").click();
    expect(model.kinds().filter((kind) => kind === "views")).toHaveLength(1);
  });

  test("say why a view does not come", () => {
    tab("Jobs").click();
    vi.advanceTimersByTime(1600);

    expect(find(cell, '[role="tabpanel"]:not([hidden])').textContent).toContain("The kernel is busy");
  });
});

describe("the table of jobs", () => {
  beforeEach(async () => {
    tab("Jobs").click();
    await answerViews();
  });

  const names = (): string[] =>
    [...cell.querySelectorAll<HTMLElement>(".hbj-trs > .hbj-tr")]
      .sort((a, b) => Number(a.dataset.index) - Number(b.dataset.index))
      .map((row) => find(row, ".hbj-f-name").textContent ?? "");

  test("is sorted by the column whose head is pressed, and back", () => {
    find(cell, '[data-field="name"] button').click();
    expect(names()).toEqual(["fit-1", "fit-2", "fit-3", "fit-4", "prepare", "report"]);
    find(cell, '[data-field="name"] button').click();
    expect(names()[0]).toBe("report");
    expect(find(cell, '[data-field="name"]').getAttribute("aria-sort")).toBe("descending");
    find(cell, '[data-field="state"] button').click();
    expect(names().slice(0, 2)).toEqual(["fit-3", "fit-2"]);
  });

  test("shows the jobs that the filter lets through", () => {
    const search = cell.querySelector<HTMLInputElement>("input[type=search]");
    if (search) search.value = "fit";
    search?.dispatchEvent(new Event("input"));
    expect(names()).toEqual(["fit-1", "fit-2", "fit-3", "fit-4"]);
    expect(find(cell, ".hbj-tools > [role=status]").textContent).toBe("4 of 6 jobs");
    expect(find(cell, ".hbj-table").getAttribute("aria-rowcount")).toBe("5");
  });

  test("shows the jobs of one group, and cancels it when asked twice", async () => {
    const question = model.sent.find((message) => message.kind === "groups");
    const groups = [
      { name: "models", parent: 0 },
      { name: "slow", parent: 1 },
    ];
    model.deliver({
      content: { kind: "groups", request: question && "request" in question ? question.request : 0, groups },
    });
    const answerColumns = async (): Promise<void> => {
      const asked = model.sent.filter((message) => message.kind === "columns").at(-1);
      if (!asked || !("names" in asked)) throw new Error("no columns were asked for");
      const view = new DataView(new ArrayBuffer(24 * asked.names.length));
      const at = 24 * asked.names.indexOf("group");
      for (const [job, number] of [0, 1, 2, 2, 1, 0].entries())
        if (at >= 0) view.setInt32(at + 4 * job, number, true);
      const { request, names } = asked;
      model.deliver({
        content: { kind: "columns", request, names, base_ms: 0, count: 6, deflate: false },
        buffer: view,
      });
      await vi.advanceTimersByTimeAsync(2000);
    };
    await answerColumns();
    await answerColumns();
    const choice = cell.querySelector<HTMLSelectElement>("[aria-label='Show jobs of group']");
    const choose = (value: string): void => {
      if (choice) choice.value = value;
      choice?.dispatchEvent(new Event("change"));
    };

    choose("1");
    expect(names()).toEqual(["fit-1", "fit-2", "fit-3", "fit-4"]);
    choose("2");
    expect(names()).toEqual(["fit-2", "fit-3"]);
    const cancel = find(cell, ".hbj-tools .hbj-finder button");
    cancel.click();
    expect(model.kinds()).not.toContain("cancel");
    expect(cancel.textContent).toBe("Really cancel its jobs?");
    cancel.click();
    const probe = model.sent.at(-1);
    model.deliver({
      content: {
        kind: "answer",
        request: probe && "request" in probe ? probe.request : 0,
        ok: true,
        text: "",
      },
    });
    expect(model.sent.at(-1)).toMatchObject({ kind: "cancel", group: "slow" });
  });

  test("opens a job with Enter, and moves with the arrow keys", () => {
    const row = find(cell, '.hbj-trs [data-index="0"]');
    row.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    const second = find(cell, '.hbj-trs [data-index="1"]');
    expect(document.activeElement).toBe(second);
    second.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(model.sent.at(-1)).toMatchObject({ kind: "job", job: 1 });
  });
});
