import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bytesOf, changes, clock, DIAMOND, LINE, snapshot } from "./fixtures";
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

    expect(find(cell, ".hbj-counts").textContent).toBe("2 of 6 done · 1 running · 1 reused · 3 waiting");
    expect(bar.getAttribute("aria-valuenow")).toBe("2");
    expect(bar.getAttribute("aria-valuetext")).toBe(find(cell, ".hbj-counts").textContent);
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

  test("speaks to screen readers every ten seconds at most", () => {
    const cell = shown.begin();
    const first = find(cell, ".hbj-spoken").textContent;
    shown.deliver(changes([[0, 4]]));
    expect(find(cell, ".hbj-spoken").textContent).toBe(first);

    vi.advanceTimersByTime(10_000);
    shown.deliver(changes([[1, 4]], { from: 11, seq: 12 }));

    expect(find(cell, ".hbj-spoken").textContent).toBe("demo: 2 of 3 done");
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

    await vi.waitFor(() => expect(find(cell, '[data-job="0"]').dataset.state).toBe("success"));
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

    expect(find(cell, ".hbj-trouble").textContent).toContain("last known state");
    expect(find(cell, '[data-job="0"]').dataset.state).toBe("success");
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
