import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ANSWER_EVENT, REQUEST_EVENT } from "../src/contract";
import { BUSY } from "../src/widget/cancel";
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
