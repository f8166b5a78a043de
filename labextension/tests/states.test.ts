import { describe, expect, test } from "vitest";
import {
  GLYPHS,
  N_STATES,
  rollUp,
  STATE_NAMES,
  segmentCounts,
  stateIndex,
  stateName,
  WORDS,
} from "../src/states";

const counts = (...states: (typeof STATE_NAMES)[number][]): Uint32Array => {
  const made = new Uint32Array(N_STATES);
  for (const state of states) made[STATE_NAMES.indexOf(state)] = 1;
  return made;
};

describe("states", () => {
  test("codes 0 to 7 have the wire's order and 12 is a success taken over", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 12].map(stateName)).toEqual([
      "pending",
      "ready",
      "creating",
      "running",
      "success",
      "failed",
      "error",
      "cancelled",
      "reused",
    ]);
    expect(stateIndex(12)).toBe(8);
  });

  test.each([
    [["success", "failed", "error", "running"], "failed"],
    [["success", "error", "running"], "error"],
    [["success", "running", "creating"], "running"],
    [["creating", "ready"], "creating"],
    [["ready", "pending", "success"], "ready"],
    [["pending", "cancelled", "success"], "pending"],
    [["cancelled", "success", "reused"], "cancelled"],
    [["success", "reused"], "success"],
    [["reused"], "reused"],
  ] as const)("a stage of %j shows %s", (states, shown) => {
    expect(rollUp(counts(...states))).toBe(shown);
  });

  test("every job is in exactly one segment of the bar", () => {
    expect(segmentCounts(Uint32Array.from({ length: N_STATES }, () => 1))).toEqual([1, 1, 1, 2, 1, 3]);
  });

  test("the words are those of the kernel's texts", () => {
    const words = ["succeeded", "failed", "running", "waiting", "cancelled", "reused"];
    expect(new Set(Object.values(WORDS))).toEqual(new Set(words));
  });

  test("every state has a shape of its own", () => {
    expect(new Set(Object.values(GLYPHS)).size).toBe(N_STATES);
  });
});
