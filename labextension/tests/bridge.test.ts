import { describe, expect, test, vi } from "vitest";
import { checkRequest, serveBridge } from "../src/bridge/bridge";
import { ANSWER_EVENT, type BridgeRequest, REQUEST_EVENT } from "../src/contract";
import { readAnswer } from "../src/request";
import { LONG_MS } from "./fixtures";

const good = { version: 1, request: "r1", run: "20261121-demo.x_1", action: "cancel" };

describe("the bridge", () => {
  test.each([
    ["another version", { ...good, version: 2 }],
    ["another action", { ...good, action: "delete" }],
    ["jobs that are no numbers", { ...good, job_ids: ["1"] }],
    ["a group that is no name", { ...good, group: 3 }],
    ["a question without words", { ...good, action: "ask" }],
    ["a deed with a question", { ...good, question: { kind: "job", request: 1 } }],
    ["a run that is a path", { ...good, run: "../../api/shutdown" }],
    ["a run that is dots", { ...good, run: ".." }],
    ["a run that is too long", { ...good, run: "x".repeat(201) }],
    ["a run that is no text", { ...good, run: 7 }],
    ["nothing", null],
  ])("refuses %s", (_, detail) => {
    expect(checkRequest(detail)).toBeNull();
  });

  test("carries out a request and answers it by its number, until it is stopped", async () => {
    const stop = new AbortController();
    const runs: string[] = [];
    const answers: unknown[] = [];
    const listen = (event: Event): void => void answers.push(event instanceof CustomEvent && event.detail);
    window.addEventListener(ANSWER_EVENT, listen, { signal: stop.signal });
    const carryOut = async ({ run, job_ids }: BridgeRequest) => {
      runs.push(`${run} ${job_ids}`);
      return { ok: true, text: "Cancelling" };
    };
    const never = () => Promise.reject(new Error("not asked for"));
    serveBridge({ cancel: carryOut, retry: never, ask: never, open: never }, stop.signal);
    const ask = (detail: object): boolean =>
      !window.dispatchEvent(new CustomEvent(REQUEST_EVENT, { detail, cancelable: true }));

    expect([ask({ ...good, job_ids: [3] }), ask({ ...good, run: "a/b" })]).toEqual([true, false]);
    await vi.waitFor(
      () => expect(answers).toEqual([{ version: 1, request: "r1", ok: true, text: "Cancelling" }]),
      LONG_MS,
    );
    stop.abort();
    window.dispatchEvent(new CustomEvent(REQUEST_EVENT, { detail: good }));

    expect(runs).toEqual([`${good.run} 3`]);
  });
});

describe("the server's answer", () => {
  test.each([
    [200, '{"text": "Cancelling 3 jobs"}', true, "Cancelling 3 jobs"],
    [200, '{"text": "Retrying", "run": "2026-x"}', true, "Retrying", "2026-x"],
    [204, "", true, "Cancelling"],
    [404, '{"message": "no run x"}', false, "no run x"],
    [404, "<html>", false, "The Jupyter server knows no such run, or its part of this extension is off."],
    [500, "[1]", false, "The Jupyter server refused to cancel (status 500)."],
  ])("%i %s", (status, body, ok, text, run = "") => {
    expect(readAnswer(status, body)).toEqual(run ? { ok, text, run } : { ok, text });
  });
});
