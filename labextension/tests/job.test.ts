import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Deed, JobDetail, Question, Reply } from "../src/contract";
import { Run } from "../src/runs";
import type { Host, Report } from "../src/views/host";
import { JobSheet } from "../src/views/job";
import { TAIL_MS } from "../src/views/log";
import { bytesOf, LINE, snapshot } from "./fixtures";
import { find } from "./shown";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const DETAIL: JobDetail = {
  job_id: 2,
  name: "fit",
  groups: ["models", "slow"],
  state: "Failed",
  exit_code: 3,
  reason: "",
  blamed: null,
  command: "python fit.py <script>",
  image: "",
  inputs: ["a.csv"],
  outputs: ["shown.model.pkl"],
  env: ["TOKEN"],
  always_run: false,
  ready_ms: 999_000,
  started_ms: 1_000_000,
  ended_ms: 1_002_500,
  use: { cores: [2, 2, 1.256], memory_bytes: [2 ** 32, null, 2 ** 30], gpus: [] },
  hint: "",
  attempts: [],
  logs: [[1, ["main"]]],
  log_path: "logs/2.1.main.log",
  log_of: null,
  deeds: { cancel: null, retry: "" },
};

/** Answers what a sheet asks, when the test says so; the log is a text. */
class FakeHost implements Host {
  log = encode("");
  detail: JobDetail = DETAIL;
  questions: Question[] = [];
  deeds: Deed[] = [];
  told: ((report: Report) => void) | null = null;
  opened: string[] = [];

  ask(question: Question, hear: (reply: Reply, bytes: Uint8Array) => void): () => void {
    this.questions.push(question);
    const bytes = this.bytesOf(question);
    queueMicrotask(() => hear(this.reply(question), bytes));
    return () => {};
  }

  carryOut(deed: Deed, told: (report: Report) => void): void {
    this.deeds.push(deed);
    this.told = told;
  }

  openRun(run: string): boolean {
    this.opened.push(run);
    return this.opened.length > 1;
  }

  openJob(job: number): void {
    this.opened.push(`job ${job}`);
  }

  private startOf(question: Question): number {
    const start = "start" in question ? question.start : 0;
    return start < 0 ? Math.max(0, this.log.length + start) : start;
  }

  private bytesOf(question: Question): Uint8Array {
    if (question.kind !== "log") return new Uint8Array();
    const start = this.startOf(question);
    return this.log.slice(start, start + question.length);
  }

  private reply(question: Question): Reply {
    const head = { request: 1, job: 1, size: this.log.length };
    if (question.kind === "job") return { kind: "job", request: 1, job: 1, detail: this.detail };
    if (question.kind !== "find") return { kind: "log", ...head, start: this.startOf(question) };
    const whole = new TextDecoder("latin1").decode(this.log);
    const at = question.back
      ? whole.slice(0, question.start).lastIndexOf(question.text)
      : whole.indexOf(question.text, question.start);
    return { kind: "find", ...head, at: at < 0 ? null : at, until: question.back ? 0 : this.log.length };
  }
}

let host: FakeHost;
let sheet: JobSheet;
let stop: AbortController;
let run: Run;

beforeEach(() => {
  vi.useFakeTimers({ now: 2_000_000 });
  host = new FakeHost();
  stop = new AbortController();
  const shown = snapshot({ ...LINE, codes: [4, 5, 0] });
  run = Run.read(shown.content, bytesOf(shown));
});

afterEach(() => {
  stop.abort();
  document.body.replaceChildren();
  vi.useRealTimers();
});

async function open(): Promise<HTMLElement> {
  sheet = new JobSheet(host, 1, stop.signal);
  document.body.append(sheet.element);
  sheet.update(run);
  await vi.advanceTimersByTimeAsync(10);
  return sheet.element;
}

function named(name: string): HTMLElement {
  const all = [...sheet.element.querySelectorAll<HTMLElement>("button")];
  const made = all.find((one) => (one.getAttribute("aria-label") ?? one.textContent) === name);
  if (!made) throw new Error(`no button ${name} in ${all.map((one) => one.textContent)}`);
  return made;
}

const log = (): HTMLElement => find(sheet.element, ".hbj-log-view");

async function search(text: string, shiftKey = false): Promise<void> {
  const input = find(sheet.element, "input[type=search]") as HTMLInputElement;
  if (input.value !== text) {
    input.value = text;
    input.dispatchEvent(new Event("input"));
  }
  input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", shiftKey }));
  await vi.advanceTimersByTimeAsync(10);
}

test("a job that never ran leads to the one that failed", async () => {
  host.detail = {
    ...DETAIL,
    state: "Cancelled",
    reason: "'a', which it needs, failed",
    blamed: { job: 0, name: "a" },
  };
  const shown = await open();
  expect(shown.textContent).toContain("It never ran.");

  named("Show a").click();

  expect(host.opened).toEqual(["job 0"]);
});

test("a result that was taken over has the log of its run, and the way to it", async () => {
  host.detail = { ...DETAIL, log_of: { run: "r1", text: "Taken over from run r1." } };
  const shown = await open();
  expect(shown.textContent).toContain("Taken over from run r1.");

  named("Open that run").click();
  expect([host.opened, shown.textContent?.includes("%batch_attach r1 shows it")]).toEqual([["r1"], true]);

  host.detail = { ...DETAIL, log_of: { run: "", text: "Run r1 is no longer here." } };
  stop.abort();
  stop = new AbortController();
  const gone = await open();
  expect(gone.textContent).toContain("no longer here");
  expect(() => named("Open that run")).toThrow();
});

describe("the sheet of a job", () => {
  test("says what ran, with what, and how it went", async () => {
    const { textContent } = await open();

    for (const said of [
      "python fit.py <script>",
      "TOKEN",
      "a.csv",
      "shown.model.pkl",
      "2.5 s",
      "logs/2.1.main.log",
    ])
      expect(textContent).toContain(said);
    expect(textContent).toContain("2 asked for · 1.26 used");
    expect(textContent).toContain("4.0 GiB asked for · 1.0 GiB used");
    expect(textContent).toContain("models / slow");
  });

  test("lists attempts when there were several, each with its log", async () => {
    const attempt = {
      exit_code: 3,
      reason: "",
      started_ms: 1_000_000,
      ended_ms: 1_001_000,
      cores_used: 1,
      peak_bytes: 2 ** 20,
    };
    const attempts = [1, 2].map((number) => ({ ...attempt, number, state: "Failed" }));
    host.detail = {
      ...DETAIL,
      attempts,
      logs: [
        [1, ["main"]],
        [2, ["input", "main"]],
      ],
    };
    host.log = encode("a line\n");
    await open();

    expect(sheet.element.querySelectorAll(".hbj-attempts tbody tr")).toHaveLength(2);
    const options = [...sheet.element.querySelectorAll("option")].map(({ textContent }) => textContent);
    expect(options).toEqual(["attempt 1: the job", "attempt 2: copying of inputs", "attempt 2: the job"]);
    expect(host.questions.at(-1)).toMatchObject({ kind: "log", attempt: 2, container: "main" });
    named("Log of attempt 1").click();
    expect(host.questions.at(-1)).toMatchObject({ kind: "log", attempt: 1, container: "main" });
  });

  test("asks again when the job has another state", async () => {
    await open();
    sheet.update(run);
    run.state[1] = 4;
    sheet.update(run);

    expect(host.questions.filter(({ kind }) => kind === "job")).toHaveLength(2);
  });
});

describe("the deeds of a job", () => {
  test("retry it, and lead to the new run", async () => {
    await open();
    named("Retry this job").click();
    expect(host.deeds).toEqual([{ kind: "retry", job_ids: [2] }]);
    expect(named("Retry this job").hasAttribute("disabled")).toBe(true);

    host.told?.({ text: "Retrying job 'fit' in run 2026-x", done: true, run: "2026-x" });
    expect(find(sheet.element, "[role=status].hbj-report").textContent).toContain("2026-x");
    named("Open the new run").click();
    expect(find(sheet.element, ".hbj-report").textContent).toContain("%batch_attach 2026-x");
    named("Open the new run").click();
    expect(host.opened).toEqual(["2026-x", "2026-x"]);
  });

  test("cancel it after a question that says what is lost", async () => {
    host.detail = { ...DETAIL, state: "Running", deeds: { cancel: "", retry: null } };
    run.state[1] = 3;
    await open();
    named("Cancel this job").click();

    expect(find(sheet.element, ".hbj-question").textContent).toContain("What it has done so far is lost.");
    expect(find(sheet.element, ".hbj-question").textContent).toContain(
      "The 1 job that needs it will not run.",
    );
    expect(document.activeElement).toBe(named("Cancel the job"));
    find(sheet.element, ".hbj-question").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect(host.deeds).toEqual([]);
    expect(document.activeElement).toBe(named("Cancel this job"));

    named("Cancel this job").click();
    named("Cancel the job").click();
    expect(host.deeds).toEqual([{ kind: "cancel", job_ids: [2] }]);
  });

  test("that there are not say why", async () => {
    host.detail = {
      ...DETAIL,
      deeds: { cancel: null, retry: "the batch service does not do a part of a batch again" },
    };
    await open();

    expect(named("Retry this job").hasAttribute("disabled")).toBe(true);
    expect(sheet.element.textContent).toContain("the batch service does not do a part of a batch again");
  });
});

describe("the log", () => {
  const lines = (count: number): Uint8Array =>
    encode(Array.from({ length: count }, (_, line) => `line ${String(line).padStart(8, "0")}\n`).join(""));

  test("is opened at its end, and not read whole", async () => {
    host.log = lines(100_000);
    await open();

    const read = host.questions.filter(({ kind }) => kind === "log");
    expect(read).toHaveLength(1);
    expect(log().textContent).toMatch(/^line [0-9]{8}\n(line [0-9]{8}\n)*line 00099999\n$/);
    expect(sheet.element.textContent).toContain("of 1.3 MiB loaded");
  });

  test("goes on while the job runs", async () => {
    host.detail = { ...DETAIL, state: "Running" };
    host.log = encode("one\n");
    await open();
    host.log = encode("one\ntwo\n");
    await vi.advanceTimersByTimeAsync(TAIL_MS + 10);
    expect(log().textContent).toBe("one\ntwo\n");

    host.detail = { ...DETAIL, state: "Success" };
    host.log = encode("one\ntwo\nthree\n");
    run.state[1] = 4;
    sheet.update(run);
    await vi.advanceTimersByTimeAsync(5 * TAIL_MS);
    expect(log().textContent).toBe("one\ntwo\nthree\n");
    const asked = host.questions.length;
    await vi.advanceTimersByTimeAsync(5 * TAIL_MS);
    expect(host.questions).toHaveLength(asked);
  });

  test("is searched in what is loaded, upwards first, then in the rest", async () => {
    host.log = encode(
      `needle at the start\n${"x".repeat(99)}\n`
        .repeat(1)
        .concat("filler\n".repeat(20_000), "Needle near\nlast\n"),
    );
    await open();
    await search("needle");
    expect(find(sheet.element, "mark").textContent).toBe("Needle");
    expect(host.questions.some(({ kind }) => kind === "find")).toBe(false);

    await search("needle");
    expect(host.questions.filter(({ kind }) => kind === "find")).toHaveLength(1);
    expect(find(sheet.element, "mark").textContent).toBe("needle");
    expect(find(sheet.element, ".hbj-hit-line").textContent).toBe("needle at the start");
    await search("needle", true);
    await search("nowhere");
    expect(find(sheet.element, ".hbj-finder [role=status]").textContent).toBe("not found");
    expect(sheet.element.querySelector("mark")).toBeNull();
  });

  test("has the colours of a terminal, and nothing else of what steers one", async () => {
    host.log = encode(
      "\u001b[1;31mred\u001b[0m plain \u001b[2Kgone \u001b]0;title\u0007\n10 %\r20 %\n<b>&\n",
    );
    await open();

    expect(log().textContent).toBe("red plain gone \n20 %\n<b>&\n");
    const red = find(log(), ".hbj-ansi");
    expect([red.textContent, red.dataset.colour, red.hasAttribute("data-bold")]).toEqual(["red", "1", true]);
  });

  test("that is empty says so", async () => {
    host.detail = { ...DETAIL, logs: [] };
    await open();

    expect(sheet.element.textContent).toContain("The log is empty");
    expect(log().hidden).toBe(true);
  });

  test("is wrapped or not", async () => {
    await open();
    named("Wrap").click();

    expect(log().classList.contains("hbj-no-wrap")).toBe(true);
    expect(named("Wrap").getAttribute("aria-pressed")).toBe("false");
  });
});
