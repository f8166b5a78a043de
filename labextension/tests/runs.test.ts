import { describe, expect, test } from "vitest";
import { inflate } from "../src/decode";
import { Run } from "../src/runs";
import { bytesOf, changes, clock, DIAMOND, LINE, ranges, snapshot } from "./fixtures";

const read = (graph = DIAMOND): Run => {
  const message = snapshot(graph);
  return Run.read(message.content, bytesOf(message), 0);
};

describe("a snapshot", () => {
  test("gives names, states, edges and counts", () => {
    const run = read({ ...DIAMOND, codes: [4, 12, 3, 0, 0, 0] });

    expect(run.name(1)).toBe("fit-1");
    expect([0, 1, 2, 3].map((job) => run.stateOf(job))).toEqual(["success", "reused", "running", "pending"]);
    expect([...run.src]).toEqual([0, 1, 0, 2, 0, 3, 0, 4]);
    expect([...run.counts]).toEqual([3, 0, 0, 1, 1, 0, 0, 0, 1]);
    expect([...run.stageCounts.slice(9, 18)]).toEqual([2, 0, 0, 1, 0, 0, 0, 0, 1]);
  });

  test("reads the same from a deflated body", async () => {
    const message = snapshot(DIAMOND);
    const packed = new Blob([bytesOf(message)]).stream().pipeThrough(new CompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(packed).arrayBuffer());

    expect([...(await inflate(bytes))]).toEqual([...bytesOf(message)]);
  });

  test("reads sections that begin at odd offsets", () => {
    const message = snapshot(LINE);
    const shifted = new Uint8Array(1 + message.buffer.byteLength);
    shifted.set(bytesOf(message), 1);
    for (const section of Object.values(message.content.sections)) section[0] += 1;

    expect(Run.read(message.content, shifted).name(2)).toBe("report");
  });

  test("is refused when its sections are shorter than it says", () => {
    const { content, ...message } = snapshot(LINE, { n: 4 });
    expect(() => Run.read(content, bytesOf(message))).toThrow(RangeError);
    expect(() => Run.read(snapshot(LINE).content, new Uint8Array(3))).toThrow(RangeError);
  });
});

describe("changes", () => {
  test("move single jobs and the counts with them", () => {
    const run = read();
    const message = changes([
      [0, 4],
      [2, 3],
    ]);

    expect(run.apply(message.content, bytesOf(message))).toBe("applied");
    expect([...run.state]).toEqual([4, 0, 3, 0, 0, 0]);
    expect([...run.counts]).toEqual([4, 0, 0, 1, 1, 0, 0, 0, 0]);
    expect(run.seq).toBe(11);
  });

  test("move ranges of jobs", () => {
    const run = read();
    const message = ranges([
      [1, 4, 7],
      [5, 1, 5],
    ]);

    run.apply(message.content, bytesOf(message));

    expect([...run.state]).toEqual([0, 7, 7, 7, 7, 5]);
  });

  test("of nothing still move the clock", () => {
    const run = read();
    const message = changes([], { clock: clock({ state: "success", complete: true, ended_ms: 1_100_000 }) });

    expect(run.apply(message.content, bytesOf(message))).toBe("applied");
    expect(run.clock.state).toBe("success");
    expect(run.elapsedMs()).toBe(100_000);
  });

  test("that were seen already are ignored, and a gap leaves everything as it was", () => {
    const run = read();
    const old = changes([[0, 5]], { from: 9, seq: 10 });
    const later = changes([[0, 5]], { from: 12, seq: 13 });

    expect(run.apply(old.content, bytesOf(old))).toBe("old");
    expect(run.apply(later.content, bytesOf(later))).toBe("gap");
    expect([...run.counts]).toEqual([6, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(run.seq).toBe(10);
  });

  test("with jobs that are not there change nothing", () => {
    const run = read();
    const message = changes([[99, 4]]);

    run.apply(message.content, bytesOf(message));

    expect(run.counts[0]).toBe(6);
  });
});

describe("a run", () => {
  test("counts on from the kernel's clock, not from this computer's", () => {
    const message = snapshot(LINE);
    const run = Run.read(message.content, bytesOf(message), 5000);

    expect(run.elapsedMs(7000)).toBe(67_000);
  });

  test("is the same graph as itself later, and another than one with an edge more", () => {
    expect(read().sameGraph(read({ ...DIAMOND, codes: [4, 4, 4, 4, 4, 4] }))).toBe(true);
    expect(read().sameGraph(read({ ...DIAMOND, edges: [...DIAMOND.edges, [0, 5]] }))).toBe(false);
  });

  test("takes one range for all of its jobs", () => {
    const names = Array.from({ length: 5000 }, (_, job) => `job ${job}`);
    const run = read({ names, stages: names.map(() => "all"), edges: [] });
    const message = ranges([[0, 5000, 4]]);

    run.apply(message.content, bytesOf(message));

    expect(run.counts[4]).toBe(5000);
  });
});
