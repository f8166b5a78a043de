/** Stands in for a kernel: answers the widget's messages and plays a scripted run. */

import { columns } from "./columns.mjs";
import { simulate } from "./scenarios.mjs";

const LOG = [
  "[M::bwa_idx_load_from_disk] read 0 ALT contigs",
  "[M::process] read 198020 sequences (20000020 bp)...",
  "\u001b[33m[W::main]\u001b[0m disk is 98 % full",
  "\u001b[1;31m[E::write_out]\u001b[0m align.bam: No space left on device",
  'samtools sort: failed writing to "align.bam"',
].join("\n");

const STATIC = "../../hail_batch_jupyter/jupyter/static/";

export class FakeKernel {
  constructor(graph, { at = 0, freeze = false, free = false, stepMs = 250, nSteps = 60 } = {}) {
    const { start, changes } = simulate(graph);
    const nDone = Math.floor(at * changes.length);
    Object.assign(this, { graph, changes, freeze, free, stepMs });
    this.codes = start;
    this.listeners = new Map();
    this.sent = [];
    this.seq = 1;
    this.at = 0;
    this.perStep = Math.max(1, Math.ceil(changes.length / nSteps));
    this.startedMs = Date.now() - 1000 * (5 + 160 * at);
    this.cancelling = false;
    this.fold(nDone);
    const lastEnd = this.started().reduce((last, job) => Math.max(last, job.started), 0);
    this.scale =
      at > 0 && lastEnd > 0 ? (Date.now() - this.startedMs) / lastEnd : (nSteps * stepMs) / graph.duration;
    this.frozenMs = Date.now();
  }

  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }

  off(event, listener) {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((other) => other !== listener),
    );
  }

  send(message) {
    this.sent.push(message);
    if (message.kind === "hello" || message.kind === "need") setTimeout(() => this.snapshot(), 0);
    if (message.kind === "job") setTimeout(() => this.job(message), 60);
    if (message.kind === "columns") setTimeout(() => this.emit(...columns(this, message)), 20);
    if (message.kind === "views") this.views(message);
    if (message.kind === "log") setTimeout(() => this.log(message), 20);
    if (message.kind === "cancel") setTimeout(() => this.cancel(message), 60);
  }

  emit(message, ...buffers) {
    for (const listener of this.listeners.get("msg:custom") ?? []) listener(message, buffers);
  }

  play() {
    const timer = setInterval(() => {
      const from = this.seq;
      const moved = this.fold(this.perStep);
      this.seq++;
      this.emit(
        { kind: "changes", from, seq: this.seq, ...this.now(), form: "single", k: moved.length },
        pack(moved),
      );
      if (this.complete) clearInterval(timer);
    }, this.stepMs);
  }

  fold(count) {
    const moved = this.changes.slice(this.at, this.at + count);
    for (const [job, code] of moved) this.codes[job] = code;
    this.at += moved.length;
    this.complete = this.at === this.changes.length;
    if (this.complete) this.endedMs ??= Date.now();
    return moved;
  }

  /** Jobs that have begun. */
  started() {
    return this.graph.jobs.filter(
      (job, index) => job.started !== undefined && [3, 4, 5].includes(this.codes[index]),
    );
  }

  now() {
    const failed = [];
    this.codes.forEach((code, job) => {
      if (code === 5) failed.push(job);
    });
    const goingOn = this.complete ? "success" : "running";
    const state = failed.length ? "failure" : this.cancelling ? "cancelled" : goingOn;
    const clock = {
      state,
      complete: this.complete,
      lost: false,
      started_ms: this.startedMs,
      ended_ms: this.endedMs ?? null,
      now_ms: Date.now(),
      cost_usd: this.free ? 0 : 0.0124,
      cost_text: this.free
        ? "no charge on this machine"
        : "$0.0124 so far, about $0.004000 more · hail (2026-08-21)",
      cancelling: this.cancelling && !this.complete,
    };
    return { clock, failures: failed.slice(0, 20).map((job, index) => this.failure(job, index)) };
  }

  failure(job, index) {
    const { name } = this.graph.jobs[job];
    const reason = index % 2 ? "out of memory (limit 4 GiB)" : "";
    return { job, name, state: "Failed", exit_code: index % 2 ? 137 : 1, reason, tail: LOG };
  }

  snapshot() {
    const { jobs, edges, stages, name } = this.graph;
    const { clock, failures } = this.now();
    const parts = {
      src: Uint32Array.from(edges, ([from]) => from),
      dst: Uint32Array.from(edges, ([, to]) => to),
      stage: Uint16Array.from(jobs, (job) => job.stage),
      state: this.codes,
      names: new TextEncoder().encode(jobs.map((job) => job.name).join("\n")),
    };
    const { sections, body } = join(parts);
    const note = this.graph.reused ? `${this.graph.reused} jobs taken over from the run of 10:31` : "";
    const run = {
      id: "20261121-103102-demo",
      name,
      backend: "local",
      runs_on: "this machine · 4 cores",
      clock,
      note,
    };
    const head = {
      kind: "snapshot",
      version: 1,
      seq: this.seq,
      run,
      n: jobs.length,
      m: edges.length,
      stages,
    };
    globalThis.snapshotMs = performance.now();
    this.emit({ ...head, failures, sections, deflate: false }, new DataView(body.buffer));
  }

  job({ request, job }) {
    const failed = this.codes[job] === 5;
    const { name } = this.graph.jobs[job];
    const detail = {
      name,
      state: failed ? "Failed" : "Success",
      exit_code: this.codes[job] === 3 ? null : failed ? 1 : 0,
      reason: "",
      command: `bwa mem -t 4 GRCh38.fa ${name}.fastq.gz \\\n  | samtools sort -o ${name}.bam -`,
      inputs: ["data/GRCh38.fa", `data/${name}.fastq.gz`],
      outputs: [`results/${name}.bam`],
      started_ms: this.startedMs + 4000,
      ended_ms: this.startedMs + 37_400,
      max_rss_bytes: 1.53e9,
      tail: LOG,
      log_of: null,
      blamed: null,
      log_path: `runs/20261121-103102-demo/logs/${job + 1}.1.main.log`,
    };
    this.emit({ kind: "job", request, job, detail });
  }

  async views({ request }) {
    const [script, style] = await Promise.all(
      ["js", "css"].map(
        async (end) => new Uint8Array(await (await fetch(`${STATIC}views.${end}`)).arrayBuffer()),
      ),
    );
    const body = new Uint8Array([...script, ...style]);
    this.emit({ kind: "views", request, script: script.length, deflate: false }, new DataView(body.buffer));
  }

  log({ request, job, start, length }) {
    const whole = new TextEncoder().encode(`${LOG}\n`.repeat(2000));
    const first = start < 0 ? Math.max(0, whole.length + start) : Math.min(start, whole.length);
    const part = whole.slice(first, first + length);
    this.emit({ kind: "log", request, job, start: first, size: whole.length }, new DataView(part.buffer));
  }

  cancel({ request }) {
    this.cancelling = true;
    this.emit({ kind: "answer", request, ok: true, text: "Cancelling: running jobs get 10 s to end" });
    this.changes.splice(this.at);
    this.codes.forEach((code, job) => {
      if (code < 4) this.changes.push([job, 7]);
    });
  }
}

function join(parts) {
  const sections = {};
  let size = 0;
  for (const [name, part] of Object.entries(parts)) {
    sections[name] = [size, part.byteLength];
    size += Math.ceil(part.byteLength / 4) * 4;
  }
  const body = new Uint8Array(size);
  for (const [name, part] of Object.entries(parts)) {
    body.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), sections[name][0]);
  }
  return { sections, body };
}

function pack(moved) {
  const view = new DataView(new ArrayBuffer(5 * moved.length));
  moved.forEach(([job, code], index) => {
    view.setUint32(4 * index, job, true);
    view.setUint8(4 * moved.length + index, code);
  });
  return view;
}
