import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bytesOf, changes, clock, DIAMOND, head, LINE, LONG_MS, snapshot } from "./fixtures";
import { find, frame, Shown } from "./shown";

let shown: Shown;

beforeEach(() => {
  shown = new Shown();
});

afterEach(() => shown.end());

describe("before the first message", () => {
  test("the widget says hello and that it waits", () => {
    const cell = shown.show();

    expect(shown.model.sent[0]).toEqual({ kind: "hello", version: 1 });
    expect(cell.textContent).toContain("Waiting for the kernel…");
    expect(find(cell, ".hbj-root").dataset.state).toBe("waiting");
  });

  test("a kernel that never answers is named as the reason", () => {
    const cell = shown.show();
    vi.advanceTimersByTime(10_100);

    expect(find(cell, ".hbj-trouble").textContent).toContain("run the cell again");
  });

  test("a newer kernel is told apart from a missing one", () => {
    const cell = shown.begin(LINE, { version: 2 });

    expect(find(cell, ".hbj-trouble").textContent).toContain("reload the page");
  });
});

describe("a run", () => {
  test("has a node for each job whose state follows the messages", () => {
    const cell = shown.begin();
    const state = (job: number): string | undefined =>
      find(cell, `.hbj-node[data-job="${job}"]`).dataset.state;
    expect([0, 1, 2].map(state)).toEqual(["pending", "pending", "pending"]);

    shown.deliver(
      changes([
        [0, 4],
        [1, 3],
      ]),
    );

    expect([0, 1, 2].map(state)).toEqual(["success", "running", "pending"]);
    expect(find(cell, '[data-job="0"]').getAttribute("aria-label")).toBe("prepare, succeeded");
  });

  test("tells counts in words, to the eye and to the progress bar", () => {
    const cell = shown.begin({ ...DIAMOND, codes: [12, 4, 3, 0, 0, 0] });
    const bar = find(cell, '[role="progressbar"]');

    const parts = [...cell.querySelectorAll<HTMLElement>(".hbj-count")];
    expect(parts.map((part) => [part.dataset.segment, part.textContent])).toEqual([
      [undefined, "2 of 6 done"],
      ["success", "1 succeeded"],
      ["reused", "1 reused"],
      ["running", "1 running"],
      ["waiting", "3 waiting"],
    ]);
    expect(bar.getAttribute("aria-valuenow")).toBe("2");
    expect(bar.getAttribute("aria-valuetext")).toBe(
      "2 of 6 done · 1 succeeded · 1 reused · 1 running · 3 waiting",
    );
  });

  test("lets the clock go on without any message, and stops it at the end", () => {
    const cell = shown.begin();
    vi.advanceTimersByTime(5000);
    expect(find(cell, ".hbj-elapsed").textContent).toMatch(/^1 min (09|10) s$/);

    const end = clock({ state: "success", complete: true, ended_ms: 1_080_000 });
    shown.model.deliver(changes([], { clock: end }));
    vi.advanceTimersByTime(5000);

    expect(find(cell, ".hbj-elapsed").textContent).toBe("1 min 20 s");
    expect(find(cell, ".hbj-root").dataset.state).toBe("success");
    expect(find(cell, ".hbj-chip").textContent).toBe("Succeeded");
    expect(find(cell, ".hbj-cancel").hidden).toBe(true);
  });

  test("that took less than ten seconds tells tenths of them", () => {
    const end = clock({ state: "success", complete: true, ended_ms: 1_000_400 });
    const cell = shown.begin(LINE, { run: head({ clock: end }) });

    expect(find(cell, ".hbj-elapsed").textContent).toBe("0.4 s");
  });

  test.each([
    [{ state: "running" }, "Running", "running", "running"],
    [{ state: "failure" }, "Failing", "failure", "running"],
    [{ state: "failure", complete: true }, "Failed", "failure", "failed"],
    [{ state: "failure", cancelling: true }, "Cancelling", "cancelled", "running"],
    [{ state: "cancelled" }, "Cancelling", "cancelled", "running"],
    [{ state: "cancelled", cancelling: true, complete: true }, "Cancelled", "cancelled", "cancelled"],
    [{ state: "cancelled", lost: true, complete: true }, "Stopped", "failure", "error"],
  ] as const)("with %j says %s", (now, word, state, sign) => {
    const cell = shown.begin(LINE, { run: head({ clock: clock(now) }) });

    expect(find(cell, ".hbj-chip").textContent).toBe(word);
    expect(find(cell, ".hbj-chip").dataset.state).toBe(state);
    expect(find(cell, ".hbj-chip .hbj-glyph").dataset.state).toBe(sign);
  });

  test.each(["", "run-1"])("whose name is %j is a batch, with its id beside", (name) => {
    const cell = shown.begin(LINE, { run: head({ name }) });

    expect(find(cell, ".hbj-title").textContent).toBe("batch");
    expect(find(cell, ".hbj-title").title).toBe("run-1");
    expect(find(cell, ".hbj-run-id").textContent).toBe("run-1");
    expect(find(cell, ".hbj-spoken").textContent).toMatch(/^batch: /);
  });

  test("with a name does without its id", () => {
    const cell = shown.begin();

    expect(find(cell, ".hbj-title").textContent).toBe("demo");
    expect(find(cell, ".hbj-run-id").textContent).toBe("");
  });

  test("speaks to screen readers every ten seconds at most", () => {
    const cell = shown.begin();
    const first = find(cell, ".hbj-spoken").textContent;
    shown.deliver(changes([[0, 4]]));
    expect(find(cell, ".hbj-spoken").textContent).toBe(first);

    vi.advanceTimersByTime(10_000);
    shown.deliver(changes([[1, 4]], { from: 11, seq: 12 }));

    expect(find(cell, ".hbj-spoken").textContent).toBe("demo: 2 of 3 done · 2 succeeded · 1 waiting");
  });

  test("wider than its place shows what runs, at the end what failed, until the user moves it", () => {
    const cell = shown.begin({ ...LINE, codes: [4, 4, 3] });
    const graph = find(cell, ".hbj-dag");
    Object.defineProperties(graph, { clientWidth: { value: 60 }, scrollWidth: { value: 400 } });
    const left = (job: number): number =>
      Number.parseFloat(find(cell, `[data-job="${job}"]`).style.left) - 20;

    shown.deliver(changes([]));
    expect(graph.scrollLeft).toBeCloseTo(left(2));

    const end = clock({ state: "failure", complete: true, ended_ms: 1_080_000 });
    const moved: [number, number][] = [
      [1, 5],
      [2, 7],
    ];
    shown.deliver(changes(moved, { from: 11, seq: 12, clock: end }));
    expect(graph.scrollLeft).toBeCloseTo(left(1));

    graph.dispatchEvent(new Event("wheel"));
    graph.scrollLeft = 3;
    shown.deliver(changes([], { from: 12, seq: 13, clock: end }));
    expect(graph.scrollLeft).toBe(3);
  });

  test("asks for a snapshot once when a message is missing", () => {
    shown.begin();
    shown.model.deliver(changes([[0, 4]], { from: 12, seq: 13 }));
    shown.model.deliver(changes([[1, 4]], { from: 13, seq: 14 }));

    expect(shown.model.kinds().filter((kind) => kind === "need")).toHaveLength(1);
  });

  test("keeps messages in order while a snapshot is being inflated", async () => {
    vi.useRealTimers();
    const cell = shown.show();
    const message = snapshot(LINE, { deflate: true });
    const packed = new Blob([bytesOf(message)]).stream().pipeThrough(new CompressionStream("deflate"));
    const bytes = await new Response(packed).arrayBuffer();

    shown.model.deliver({ content: message.content, buffer: new DataView(bytes) });
    shown.model.deliver(changes([[0, 4]]));

    await vi.waitFor(() => expect(find(cell, '[data-job="0"]').dataset.state).toBe("success"), LONG_MS);
    expect(shown.model.kinds()).not.toContain("need");
  });

  test("keeps its nodes when the same graph comes again", () => {
    const cell = shown.begin();
    const node = find(cell, '[data-job="1"]');
    shown.deliver(snapshot({ ...LINE, codes: [4, 4, 0] }, { seq: 20 }));

    expect(find(cell, '[data-job="1"]')).toBe(node);
    expect(node.dataset.state).toBe("success");
  });

  test("keeps its last state when the kernel goes", () => {
    const cell = shown.begin({ ...LINE, codes: [4, 3, 0] });
    shown.model.disconnect();
    frame();

    expect(find(cell, ".hbj-trouble").textContent).toBe(
      "Disconnected from the kernel; this is the last known state. %batch_attach run-1 shows the run again.",
    );
    expect(find(cell, '[data-job="0"]').dataset.state).toBe("success");
  });

  test("lets the clock stand when the kernel goes, also when it is drawn again or elsewhere", () => {
    const cell = shown.begin();
    vi.advanceTimersByTime(2000);
    shown.model.disconnect();
    frame();
    const last = find(cell, ".hbj-elapsed").textContent;
    expect(last).toBe("1 min 07 s");

    vi.advanceTimersByTime(5000);
    find(cell, ".hbj-cancel").click();
    find(cell, ".hbj-danger").click();
    const second = shown.show();
    vi.advanceTimersByTime(1000);

    expect(find(cell, ".hbj-elapsed").textContent).toBe(last);
    expect(find(second, ".hbj-elapsed").textContent).toBe(last);
  });

  test("says how it is seen again when its model has lost its kernel", () => {
    const cell = shown.begin();
    shown.model.send = () => {
      throw new Error("no comm");
    };
    find(cell, '[data-job="0"]').click();
    frame();

    expect(find(cell, ".hbj-trouble").textContent).toBe(
      "No kernel is connected; this is the last known state. %batch_attach run-1 shows the run again.",
    );
  });

  test("is shared by several views, each with its own cleanup", () => {
    const first = shown.begin();
    const second = shown.show();
    frame();
    expect(find(first, '[data-job="0"]').dataset.state).toBe("pending");
    expect(find(second, '[data-job="0"]').dataset.state).toBe("pending");

    shown.endLast();
    shown.deliver(changes([[0, 4]]));

    expect(find(first, '[data-job="0"]').dataset.state).toBe("success");
    expect(second.childElementCount).toBe(0);
  });

  test("leaves no listener behind", () => {
    shown.begin();
    shown.end();

    expect(shown.model.nListeners).toBe(0);
  });
});
