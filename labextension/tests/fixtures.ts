/** Messages as a kernel sends them, and a model that keeps what the widget says. */

import type { BrowserMessage, Changes, Clock, Failure, RunHead, Section, Snapshot } from "../src/contract";
import type { CustomListener, Model } from "../src/widget/model";

/** How long a test waits for what happens in its own time, on a machine however busy. */
export const LONG_MS = 60_000;

export interface Graph {
  names: string[];
  /** Stage of each job, by name. */
  stages: string[];
  edges: [number, number][];
  codes?: number[];
}

/** prepare → fit ×4 → report */
export const DIAMOND: Graph = {
  names: ["prepare", "fit-1", "fit-2", "fit-3", "fit-4", "report"],
  stages: ["prepare", "fit", "fit", "fit", "fit", "report"],
  edges: [1, 2, 3, 4].flatMap((job): [number, number][] => [
    [0, job],
    [job, 5],
  ]),
};

/** prepare → fit → report */
export const LINE: Graph = {
  names: ["prepare", "fit", "report"],
  stages: ["prepare", "fit", "report"],
  edges: [
    [0, 1],
    [1, 2],
  ],
};

export function clock(changed: Partial<Clock> = {}): Clock {
  return {
    state: "running",
    complete: false,
    lost: false,
    started_ms: 1_000_000,
    ended_ms: null,
    now_ms: 1_065_000,
    cost_usd: 0.01,
    cost_text: "$0.0100",
    cancelling: false,
    ...changed,
  };
}

export function head(changed: Partial<RunHead> = {}): RunHead {
  return {
    id: "run-1",
    name: "demo",
    backend: "local",
    runs_on: "this machine",
    clock: clock(),
    note: "",
    ...changed,
  };
}

export function failure(changed: Partial<Failure> = {}): Failure {
  return {
    job: 1,
    name: "fit",
    state: "Failed",
    exit_code: 1,
    reason: "",
    tail: "no space left",
    ...changed,
  };
}

export interface Message<M> {
  content: M;
  buffer: DataView<ArrayBuffer>;
}

export function snapshot(graph: Graph, changed: Partial<Snapshot> = {}): Message<Snapshot> {
  const stageNames = [...new Set(graph.stages)];
  const parts: Record<keyof Snapshot["sections"], ArrayBufferView> = {
    src: Uint32Array.from(graph.edges, ([from]) => from),
    dst: Uint32Array.from(graph.edges, ([, to]) => to),
    stage: Uint16Array.from(graph.stages, (name) => stageNames.indexOf(name)),
    state: Uint8Array.from(graph.codes ?? graph.names.map(() => 0)),
    names: new TextEncoder().encode(graph.names.join("\n")),
  };
  const { sections, body } = join(parts);
  const content: Snapshot = {
    kind: "snapshot",
    version: 1,
    seq: 10,
    run: head(),
    n: graph.names.length,
    m: graph.edges.length,
    stages: stageNames.map((name) => ({
      name,
      count: graph.stages.filter((other) => other === name).length,
    })),
    failures: [],
    sections,
    deflate: false,
    ...changed,
  };
  return { content, buffer: new DataView(body.buffer) };
}

function join(parts: Record<keyof Snapshot["sections"], ArrayBufferView>): {
  sections: Snapshot["sections"];
  body: Uint8Array<ArrayBuffer>;
} {
  const sections: Snapshot["sections"] = {
    src: [0, 0],
    dst: [0, 0],
    stage: [0, 0],
    state: [0, 0],
    names: [0, 0],
  };
  const body = new Uint8Array(1 << 16);
  let at = 0;
  for (const name of ["src", "dst", "stage", "state", "names"] as const) {
    const part = parts[name];
    const section: Section = [at, part.byteLength];
    sections[name] = section;
    body.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += Math.ceil(part.byteLength / 4) * 4;
  }
  return { sections, body: body.slice(0, at) };
}

/** Changes from the snapshot's sequence number 10 to 11, job by job. */
export function changes(moved: [number, number][], changed: Partial<Changes> = {}): Message<Changes> {
  const buffer = new DataView(new ArrayBuffer(5 * moved.length));
  moved.forEach(([job, code], index) => {
    buffer.setUint32(4 * index, job, true);
    buffer.setUint8(4 * moved.length + index, code);
  });
  return { content: changesHead(moved.length, "single", changed), buffer };
}

/** The same as ranges of first job, count, code. */
export function ranges(moved: [number, number, number][], changed: Partial<Changes> = {}): Message<Changes> {
  const k = moved.length;
  const buffer = new DataView(new ArrayBuffer(9 * k));
  moved.forEach(([first, count, code], index) => {
    buffer.setUint32(4 * index, first, true);
    buffer.setUint32(4 * (k + index), count, true);
    buffer.setUint8(8 * k + index, code);
  });
  return { content: changesHead(k, "ranges", changed), buffer };
}

function changesHead(k: number, form: Changes["form"], changed: Partial<Changes>): Changes {
  return { kind: "changes", from: 10, seq: 11, clock: clock(), failures: [], form, k, ...changed };
}

/** The bytes of a message's buffer. */
export function bytesOf({ buffer }: { buffer: DataView<ArrayBuffer> }): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer);
}

export class FakeModel implements Model {
  readonly sent: BrowserMessage[] = [];
  readonly traits: Record<string, unknown> = {};
  private readonly listeners = new Map<string, Set<CustomListener>>();

  get(name: string): unknown {
    return this.traits[name];
  }

  /** As a host does: what listens is told, also of what this page itself has set. */
  set(name: string, value: unknown): void {
    this.traits[name] = value;
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener(null, []);
  }

  save_changes(): void {}

  send(content: BrowserMessage): void {
    this.sent.push(content);
  }

  on(event: string, listener: CustomListener): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: CustomListener): void {
    this.listeners.get(event)?.delete(listener);
  }

  get nListeners(): number {
    return [...this.listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }

  deliver({ content, buffer }: { content: object; buffer?: DataView }): void {
    for (const listener of this.listeners.get("msg:custom") ?? []) listener(content, buffer ? [buffer] : []);
  }

  disconnect(): void {
    for (const listener of this.listeners.get("comm:close") ?? []) listener(null, []);
  }

  kinds(): string[] {
    return this.sent.map((message) => message.kind);
  }
}
