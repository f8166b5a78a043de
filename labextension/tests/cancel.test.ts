import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ANSWER_EVENT, REQUEST_EVENT } from "../src/contract";
import { BUSY } from "../src/widget/cancel";
import { clock, head, LINE } from "./fixtures";
import { find, frame, Shown } from "./shown";

let shown: Shown;

beforeEach(() => {
  shown = new Shown();
});

afterEach(() => shown.end());

describe("cancel", () => {
  const press = (cell: HTMLElement): void => {
    find(cell, ".hbj-cancel").click();
    find(cell, ".hbj-danger").click();
  };

  test("asks before it does anything", () => {
    const cell = shown.begin();
    find(cell, ".hbj-cancel").click();
    expect(find(cell, ".hbj-question").hidden).toBe(false);
    expect(find(cell, ".hbj-question").textContent).toContain("Cancel the 3 jobs not yet finished?");

    find(cell, ".hbj-question button:last-child").click();
    vi.advanceTimersByTime(1000);

    expect(shown.model.kinds()).not.toContain("cancel");
    expect(find(cell, ".hbj-cancel").hidden).toBe(false);
  });

  test("goes through JupyterLab's extension when that answers", () => {
    const cell = shown.begin();
    const asked: unknown[] = [];
    const answer = (event: Event): void => {
      if (!(event instanceof CustomEvent)) return;
      asked.push(event.detail);
      const detail = { version: 1, request: event.detail.request, ok: true, text: "Cancelling" };
      window.dispatchEvent(new CustomEvent(ANSWER_EVENT, { detail }));
    };
    window.addEventListener(REQUEST_EVENT, answer, { once: true });
    press(cell);
    vi.advanceTimersByTime(2500);

    expect(asked).toMatchObject([{ version: 1, run: "run-1", action: "cancel" }]);
    expect(shown.model.kinds()).not.toContain("cancel");
    expect(find(cell, ".hbj-report").textContent).toBe("Cancelling");
  });

  test("falls back to the comm after 300 ms, and tells when the kernel is busy too", () => {
    const cell = shown.begin();
    press(cell);
    frame();
    expect(find(cell, ".hbj-cancel").textContent).toBe("Cancelling…");
    expect(find(cell, ".hbj-chip").textContent).toBe("Cancelling");
    expect(shown.model.kinds()).not.toContain("cancel");

    vi.advanceTimersByTime(300);
    expect(shown.model.sent.at(-1)).toMatchObject({ kind: "cancel" });

    vi.advanceTimersByTime(1600);
    expect(find(cell, ".hbj-report").textContent).toBe(BUSY);
  });

  test("can be asked for again when the kernel says no", () => {
    const cell = shown.begin();
    press(cell);
    vi.advanceTimersByTime(310);
    const asked = shown.model.sent.at(-1);
    const request = asked?.kind === "cancel" ? asked.request : -1;
    shown.deliver({ content: { kind: "answer", request, ok: false, text: "This run is read-only" } });

    expect(find(cell, ".hbj-report").textContent).toBe("This run is read-only");
    expect(find(cell, ".hbj-cancel").hasAttribute("disabled")).toBe(false);
  });

  test("ignores answers to somebody else", () => {
    const cell = shown.begin();
    press(cell);
    const detail = { version: 1, request: "another", ok: true, text: "not mine" };
    window.dispatchEvent(new CustomEvent(ANSWER_EVENT, { detail }));
    frame();

    expect(find(cell, ".hbj-report").textContent).toBe("");
  });
});

describe("retry", () => {
  test("runs what failed again, once, and then leads to the new run", async () => {
    const cell = shown.begin(
      { ...LINE, codes: [4, 5, 7] },
      { run: head({ clock: clock({ state: "failure", complete: true, ended_ms: 1_065_000 }) }) },
    );
    const button = (): HTMLElement => find(cell, ".hbj-facts button:last-child");
    expect([button().textContent, button().hidden]).toEqual(["Retry", false]);

    button().click();
    button().click();
    const probe = shown.model.sent.at(-1);
    shown.deliver({ content: { kind: "columns", request: probe && "request" in probe ? probe.request : 0 } });
    const asked = shown.model.sent.at(-1);
    expect(asked).toMatchObject({ kind: "retry" });
    expect(shown.model.kinds().filter((kind) => kind === "retry")).toHaveLength(1);
    const request = asked && "request" in asked ? asked.request : 0;
    const text = "Retrying 2 jobs in run run-2";
    shown.deliver({ content: { kind: "answer", request, ok: true, text, run: "run-2" } });

    expect(find(cell, ".hbj-report").textContent).toBe(text);
    expect(button().textContent).toBe("Open the new run");
    button().click();
    expect(find(cell, ".hbj-report").textContent).toContain("%batch_attach run-2");
  });

  test("is done by the server when the kernel is busy", () => {
    const cell = shown.begin(
      { ...LINE, codes: [4, 5, 7] },
      { run: head({ clock: clock({ state: "failure", complete: true, ended_ms: 1_065_000 }) }) },
    );
    const actions: string[] = [];
    const serve = (event: Event): void => {
      if (!(event instanceof CustomEvent)) return;
      event.preventDefault();
      const { action, request, question } = event.detail;
      actions.push(action);
      const answered =
        action === "ask"
          ? {
              ok: true,
              text: "",
              content: { kind: "columns", request: question.request },
              bytes: new Uint8Array(),
            }
          : { ok: true, text: "Retrying", run: "run-2" };
      window.dispatchEvent(new CustomEvent(ANSWER_EVENT, { detail: { version: 1, request, ...answered } }));
    };
    window.addEventListener(REQUEST_EVENT, serve);
    find(cell, ".hbj-facts button:last-child").click();
    vi.advanceTimersByTime(400);
    window.removeEventListener(REQUEST_EVENT, serve);

    expect(actions).toEqual(["ask", "retry"]);
    expect(shown.model.kinds()).not.toContain("retry");
    expect(find(cell, ".hbj-report").textContent).toBe("Retrying");
  });
});
