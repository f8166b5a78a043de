import { Widget } from "@lumino/widgets";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { BrowserMessage, Letter, RunRow } from "../src/contract";
import type { Deeds } from "../src/panel/actions";
import { RunsPanel } from "../src/panel/panel";
import { PACE_MS, RemoteModel } from "../src/panel/remote";
import { Runs } from "../src/panel/runs";
import { RunsStatus } from "../src/panel/status";
import type { Fetched } from "../src/request";
import { clock, DIAMOND, snapshot } from "./fixtures";
import { row } from "./rows";
import { find } from "./shown";

let rows: RunRow[];
let refused = "";
let nLooks = 0;

const fetchRuns = async (): Promise<Fetched<{ now_ms: number; runs: RunRow[] }>> => {
  nLooks++;
  return refused
    ? { ok: false, text: refused, gone: false }
    : { ok: true, value: { now_ms: 60_000, runs: rows } };
};

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  [rows, refused, nLooks] = [[], "", 0];
});

afterEach(() => {
  document.body.replaceChildren();
  vi.useRealTimers();
});

const ended: Partial<RunRow> = { complete: true, state: "failure", ended_ms: 5000 };

describe("the looks", () => {
  test("go on while somebody looks or something runs, and else stop", async () => {
    let seen = false;
    const runs = new Runs(fetchRuns, () => seen);
    rows = [row()];
    await runs.refresh();
    await vi.advanceTimersByTimeAsync(4000);
    expect(nLooks).toBe(3);

    rows = [row(ended)];
    await vi.advanceTimersByTimeAsync(2000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(nLooks).toBe(4);

    seen = true;
    await runs.refresh();
    await vi.advanceTimersByTimeAsync(2000);
    expect(nLooks).toBe(6);
    runs.dispose();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("become rare while the server does not answer, and keep what is known", async () => {
    const runs = new Runs(fetchRuns, () => true);
    rows = [row()];
    await runs.refresh();
    refused = "gone";
    await vi.advanceTimersByTimeAsync(2000);
    expect([runs.trouble, runs.rows?.length]).toEqual(["gone", 1]);

    await vi.advanceTimersByTimeAsync(3999);
    expect(nLooks).toBe(2);
    refused = "";
    await vi.advanceTimersByTimeAsync(1);
    expect([nLooks, runs.trouble]).toEqual([3, ""]);
    runs.dispose();
  });

  test("two at a time are one", async () => {
    const runs = new Runs(fetchRuns, () => false);

    await Promise.all([runs.refresh(), runs.refresh()]);

    expect(nLooks).toBe(1);
    runs.dispose();
  });
});

describe("the panel", () => {
  const asked: string[] = [];
  const note = (name: string) => (made: RunRow) => void asked.push(`${name} ${made.run_id}`);
  const deeds: Deeds = {
    open: note("open"),
    notebook: note("notebook"),
    cancel: note("cancel"),
    remove: note("remove"),
    retry: note("retry"),
    copy: note("copy"),
    page: note("page"),
  };
  let panel: RunsPanel;
  let runs: Runs;

  const show = async (...shown: RunRow[]): Promise<HTMLElement> => {
    rows = shown;
    runs = new Runs(fetchRuns, () => true);
    panel = new RunsPanel(runs, deeds, () => document.createElement("i"), []);
    Widget.attach(panel, document.body);
    await runs.refresh();
    return panel.node;
  };
  const titles = (): string[] =>
    [...panel.node.querySelectorAll(".hbj-row-title")].map((one) => one.textContent ?? "");
  const labels = (): string[] =>
    [...panel.node.querySelectorAll<HTMLElement>(".hbj-row-actions button")]
      .filter((made) => !made.hidden)
      .map((made) => made.getAttribute("aria-label") ?? "");

  beforeEach(() => asked.splice(0));
  afterEach(() => {
    panel.dispose();
    runs.dispose();
  });

  test("lists what runs before what has ended, with state and counts in words", async () => {
    const node = await show(row({ run_id: "b", name: "old", ...ended }), row({ run_id: "a", name: "now" }));

    expect(titles()).toEqual(["now", "old"]);
    expect(find(node, "[data-run=a]").textContent).toContain("Running1 of 3 · 1 min 00 s · local");
    expect(find(node, "[data-run=b]").dataset.state).toBe("failure");
    expect([...node.querySelectorAll("h3")].map((made) => made.textContent)).toEqual([
      "Running (1)",
      "Ended (1)",
    ]);
  });

  test("shows text as text", async () => {
    const node = await show(row({ name: "<img src=x>", notebook: "/a/<b>.ipynb" }));

    expect(titles()).toEqual(["<img src=x>"]);
    expect(node.querySelectorAll("img, b")).toHaveLength(0);
  });

  test("has the actions that the state allows in the row that is pointed at", async () => {
    const node = await show(
      row({ run_id: "a", name: "now" }),
      row({ run_id: "b", name: "old", ...ended, notebook_path: "s.ipynb", notebook: "/s.ipynb" }),
    );
    expect(labels()).toEqual(["Cancel now", "Copy the run id of now"]);

    find(node, "[data-run=b] .hbj-row-open").dispatchEvent(new Event("pointerover", { bubbles: true }));

    expect(labels()).toEqual([
      "Retry old",
      "Open the notebook s.ipynb",
      "Copy the run id of old",
      "Delete old",
    ]);
    find(node, "[data-run=b] [aria-label='Delete old']").click();
    find(node, "[data-run=b] .hbj-row-title").click();
    expect(asked).toEqual(["remove b", "open b"]);
  });

  test("is walked with the arrow keys, and keeps the focus when a run ends or goes", async () => {
    const node = await show(row({ run_id: "a" }), row({ run_id: "b" }), row({ run_id: "c", ...ended }));
    find(node, "[data-run=a] .hbj-row-open").focus();
    const press = (key: string): unknown =>
      document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const focused = (): string | undefined =>
      document.activeElement?.closest<HTMLElement>(".hbj-row")?.dataset.run;

    press("ArrowDown");
    expect(focused()).toBe("b");
    expect([...node.querySelectorAll(".hbj-row-open[tabindex='0']")]).toEqual([document.activeElement]);
    rows = [row({ run_id: "a" }), row({ run_id: "b", ...ended }), row({ run_id: "c", ...ended })];
    await runs.refresh();
    expect(focused()).toBe("b");
    rows = [row({ run_id: "a" }), row({ run_id: "c", ...ended })];
    await runs.refresh();
    expect(focused()).toBe("c");
    press("Home");
    expect(focused()).toBe("a");
  });

  test("has the first rows of many, and more for who comes to their end", async () => {
    const many = (first: number): RunRow[] =>
      Array.from({ length: 150 }, (_, at) => row({ run_id: `r${first + at}`, ...ended }));
    const node = await show(...many(0));
    const count = (): number => node.querySelectorAll("[data-run]").length;
    const press = (key: string): unknown =>
      document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const focused = (): string | undefined =>
      document.activeElement?.closest<HTMLElement>(".hbj-row")?.dataset.run;
    expect([count(), [...node.querySelectorAll("h3")].at(-1)?.textContent]).toEqual([60, "Ended (150)"]);

    find(node, "[data-run=r59] .hbj-row-open").focus();
    press("ArrowDown");
    expect([focused(), count()]).toEqual(["r60", 61]);
    // A new one at the top pushes it out of the first rows, and it keeps the focus.
    rows = [row({ run_id: "new", ...ended }), ...many(0)];
    await runs.refresh();
    expect([focused(), count()]).toEqual(["r60", 121]);
    press("End");
    expect([focused(), count()]).toEqual(["r149", 151]);

    const scroll = find(node, ".hbj-panel-scroll");
    rows = many(200);
    await runs.refresh();
    vi.spyOn(scroll, "clientHeight", "get").mockReturnValue(500);
    vi.spyOn(scroll, "scrollHeight", "get").mockReturnValue(900);
    scroll.dispatchEvent(new Event("scroll"));
    expect(count()).toBe(150);
  });

  test("filters, and says why nothing is there", async () => {
    const node = await show(row({ run_id: "a", name: "survey" }), row({ run_id: "b", name: "scan" }));
    const filter = find(node, ".hbj-filter") as HTMLInputElement;
    const type = (text: string): void => {
      filter.value = text;
      filter.dispatchEvent(new Event("input"));
    };

    type("sur");
    expect(titles()).toEqual(["survey"]);
    type("none");
    expect(find(node, ".hbj-panel-message").textContent).toBe("None of 2 batches has “none” in it.");
    rows = [];
    await runs.refresh();
    expect(find(node, ".hbj-panel-message").textContent).toContain("No batches yet");
    refused = "The server is gone";
    await runs.refresh();
    expect(find(node, ".hbj-panel-message").textContent).toBe("The server is gone");
  });

  test("narrows the list to a state", async () => {
    const node = await show(row({ run_id: "a", name: "now" }), row({ run_id: "b", name: "old", ...ended }));
    const states = find(node, ".hbj-states") as HTMLSelectElement;
    const choose = (state: string): void => {
      states.value = state;
      states.dispatchEvent(new Event("change"));
    };

    choose("Failed");
    expect(titles()).toEqual(["old"]);
    choose("Succeeded");
    expect(find(node, ".hbj-panel-message").textContent).toBe(
      "None of 2 batches is in the list “Succeeded”.",
    );
    choose("All");
    expect(titles()).toEqual(["now", "old"]);
  });

  test("keeps the elements of rows that stay", async () => {
    const node = await show(row({ run_id: "a" }), row({ run_id: "b" }));
    const element = find(node, "[data-run=b]");

    rows = [row({ run_id: "new" }), ...rows];
    await runs.refresh();

    expect(find(node, "[data-run=b]")).toBe(element);
  });
});

describe("the status bar", () => {
  test("counts what runs, and what has failed until somebody looks", async () => {
    let seen = false;
    const runs = new Runs(fetchRuns, () => seen);
    const status = new RunsStatus(
      runs,
      () => seen,
      () => {},
    );
    const text = (): string | null => (find(status.node, "button").hidden ? null : shownText(status.node));
    expect(text()).toBeNull();
    rows = [row({ run_id: "a" }), row({ run_id: "b", ...ended })];
    await runs.refresh();
    expect(text()).toBe("1 running");

    rows = [row({ run_id: "a", ...ended }), row({ run_id: "b", ...ended })];
    await runs.refresh();
    expect(text()).toBe("1 failed");

    seen = true;
    await runs.refresh();
    expect(text()).toBeNull();
    runs.dispose();
    status.dispose();
  });
});

function shownText(node: HTMLElement): string {
  const parts = [...node.querySelectorAll<HTMLElement>(".hbj-status-part")];
  return parts
    .filter((part) => !part.hidden)
    .map((part) => part.textContent)
    .join(" ");
}

describe("the model without a kernel", () => {
  const said: BrowserMessage[][] = [];
  let answers: Fetched<{ messages: Letter[] }>[];
  let told: string[];
  let model: RemoteModel;

  const letter = (complete: boolean): Letter => {
    const made = snapshot(DIAMOND);
    const run = { ...made.content.run, clock: clock({ complete }) };
    return {
      content: { ...made.content, run },
      buffer: btoa(String.fromCharCode(...new Uint8Array(made.buffer.buffer))),
    };
  };
  const silence: Fetched<{ messages: Letter[] }> = { ok: true, value: { messages: [] } };

  beforeEach(() => {
    said.splice(0);
    [answers, told] = [[], []];
    const converse = async (
      messages: readonly BrowserMessage[],
    ): Promise<Fetched<{ messages: Letter[] }>> => {
      said.push([...messages]);
      return answers.shift() ?? silence;
    };
    model = new RemoteModel(converse, {
      begun: () => told.push("begun"),
      trouble: (text) => text && told.push(text),
    });
  });

  afterEach(() => model.dispose());

  test("hands letters on with their bytes, and asks again until the run has ended", async () => {
    const heard: unknown[] = [];
    model.on("msg:custom", (content, buffers) => heard.push([content, buffers]));
    answers = [
      { ok: true, value: { messages: [letter(false)] } },
      { ok: true, value: { messages: [letter(true)] } },
    ];

    model.send({ kind: "hello", version: 1 });
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual([[letter(false).content, [snapshot(DIAMOND).buffer]]]);
    expect(told).toEqual(["begun"]);
    await vi.advanceTimersByTimeAsync(PACE_MS);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(said).toEqual([[{ kind: "hello", version: 1 }], []]);
    model.send({ kind: "job", request: 1, job: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(said).toHaveLength(3);
  });

  test("asks nothing while nobody sees it", async () => {
    model.send({ kind: "visible", visible: false });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said).toHaveLength(1);

    model.send({ kind: "visible", visible: true });
    await vi.advanceTimersByTimeAsync(PACE_MS);
    expect(said).toHaveLength(3);
  });

  test("says again what did not arrive, and gives up when the run is gone", async () => {
    answers = [
      { ok: false, text: "no answer", gone: false },
      { ok: false, text: "deleted", gone: true },
    ];
    model.send({ kind: "hello", version: 1 });
    await vi.advanceTimersByTimeAsync(2 * PACE_MS);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(said).toEqual([[{ kind: "hello", version: 1 }], [{ kind: "hello", version: 1 }]]);
    expect(told).toEqual(["no answer", "deleted"]);
  });
});
