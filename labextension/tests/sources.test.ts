import { Widget } from "@lumino/widgets";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RunRow, ServicePage } from "../src/contract";
import type { Deeds } from "../src/panel/actions";
import { RunsPanel } from "../src/panel/panel";
import { Runs } from "../src/panel/runs";
import { ServicePages, Sources } from "../src/panel/sources";
import type { Fetched } from "../src/request";
import { row } from "./rows";
import { find } from "./shown";

const asked: (number | null)[] = [];
let answer: (before: number | null) => Promise<Fetched<ServicePage>>;
let here: RunRow[];
let sources: Sources;

const page = (runs: RunRow[], changed: Partial<ServicePage> = {}): Fetched<ServicePage> => ({
  ok: true,
  value: { now_ms: 60_000, service: "batch.example", trouble: "", runs, next: null, ...changed },
});
const batch = (number: number, changed: Partial<RunRow> = {}): RunRow =>
  row({ run_id: String(number), name: `batch ${number}`, backend: "service", ...changed });
const ids = (): string[] | undefined => sources.rows?.map(({ run_id }) => run_id);

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  asked.splice(0);
  here = [row({ run_id: "mine", created_ms: 50 })];
  answer = async () => page([batch(7, { created_ms: 100 }), batch(6, { created_ms: 10 })]);
  const pages = new ServicePages((before) => {
    asked.push(before);
    return answer(before);
  });
  const machine = new Runs(
    async () => ({ ok: true, value: { now_ms: 60_000, runs: here } }),
    () => true,
  );
  sources = new Sources(
    machine,
    new Runs(
      () => pages.read(),
      () => true,
    ),
    pages,
  );
});

afterEach(() => {
  sources.dispose();
  document.body.replaceChildren();
  vi.useRealTimers();
});

test("batches of the service stand among the runs of this machine by their age", async () => {
  await sources.refresh();

  expect(ids()).toEqual(["7", "mine", "6"]);
});

test("a service that does not answer holds up no row of this machine", async () => {
  answer = () => new Promise(() => {});

  void sources.refresh();
  await vi.advanceTimersByTimeAsync(0);

  expect(ids()).toEqual(["mine"]);
});

test("what is wrong with the service is a quiet note, and its rows stay", async () => {
  await sources.refresh();
  answer = async () => page([], { trouble: "cannot be reached" });
  await sources.refresh();

  expect([sources.note, sources.trouble]).toEqual(["batch.example: cannot be reached", ""]);
  expect(ids()).toEqual(["7", "mine", "6"]);
});

test("a Jupyter server that knows no services is no trouble", async () => {
  answer = async () => ({ ok: false, text: "no such page", gone: true });
  await sources.refresh();

  expect([sources.note, ids()]).toEqual(["", ["mine"]]);
});

test("older pages are asked for when somebody wants them, and tell of nothing", async () => {
  const told = vi.fn();
  answer = async (before) =>
    before === null
      ? page([batch(7, { created_ms: 60_000 })], { next: 7 })
      : page([batch(6, { complete: true, ended_ms: 5, created_ms: -100_000 })]);
  await sources.refresh();
  sources.subscribe(told);
  expect([asked, sources.more]).toEqual([[null], true]);

  await sources.showMore();

  expect(asked).toEqual([null, null, 7]);
  expect(ids()).toEqual(["7", "mine", "6"]);
  expect(sources.more).toBe(false);
  expect(told.mock.calls).toEqual([[[]]]);
});

test("the service is looked at more rarely than this machine", async () => {
  sources.setPoll(2);
  await sources.refresh();
  await vi.advanceTimersByTimeAsync(9_000);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toHaveLength(2);
});

test("the panel says the note below its list, and asks for older batches", async () => {
  const nothing = (): void => {};
  const deeds: Deeds = {
    open: nothing,
    notebook: nothing,
    cancel: nothing,
    remove: nothing,
    retry: nothing,
    copy: nothing,
    page: nothing,
  };
  answer = async (before) =>
    before === null ? page([batch(7, { url: "http://x/batches/7" })], { next: 7 }) : page([batch(6)]);
  const icon = (): HTMLElement => document.createElement("i");
  const panel = new RunsPanel(sources, deeds, icon, []);
  Widget.attach(panel, document.body);
  await vi.advanceTimersByTimeAsync(0);
  const more = find(panel.node, ".hbj-older");
  expect(more.hidden).toBe(false);
  find(panel.node, "[data-run='7'] .hbj-row-open").dispatchEvent(new Event("pointerover", { bubbles: true }));
  expect(find(panel.node, "[aria-label='Open the page of batch 7']").hidden).toBe(false);

  more.click();
  await vi.advanceTimersByTimeAsync(0);
  expect(panel.node.querySelectorAll(".hbj-row")).toHaveLength(3);
  expect(more.hidden).toBe(true);

  answer = async () => page([], { trouble: "is silent" });
  await sources.refresh();
  expect(find(panel.node, ".hbj-panel-note").textContent).toBe("batch.example: is silent");
  panel.dispose();
});
