/** What all views of one widget share: the run, the conversation with the kernel. No DOM. */

import {
  type BridgeAnswer,
  type BrowserMessage,
  type Changes,
  type Deed,
  type KernelMessage,
  type Question,
  type Reply,
  type Snapshot,
  VERSION,
} from "../contract";
import { type Outcome, Run } from "../runs";
import type { Report } from "../views/host";
import { after, askAside } from "./aside";
import { BUSY, Cancel, type CancelReport, COMM_MS } from "./cancel";
import { Inbox } from "./inbox";
import type { Model } from "./model";
import { Trouble } from "./trouble";

/** A second snapshot is asked for only when the first did not come, in ms. */
const NEED_AGAIN_MS = 2000;

/** After this without a first message the kernel is taken to be gone, in ms. */
const PATIENCE_MS = 10_000;

/** A question that the kernel has not answered after this is put to the server too, in ms. */
const ASIDE_MS = 300;

/** What JupyterLab's widget manager says when the kernel goes. */
const CLOSING_EVENTS = ["comm:close", "comm_live_update"];

/** Takes the answer to a question, with its bytes. */
export type Hear = (reply: Reply, bytes: Uint8Array) => void;

export class Session {
  run: Run | null = null;
  readonly trouble = new Trouble();
  cancelReport: CancelReport = { text: "", pending: false };
  readonly #model: Model;
  readonly #listeners = new Set<() => void>();
  readonly #visibleViews = new Map<object, boolean>();
  readonly #asked = new Map<number, Hear>();
  /** Replies that came from the server. */
  readonly #aside = new Set<number>();
  readonly #stop = new AbortController();
  /** The kernel did not answer in time, and has not answered since. */
  #busy = false;
  readonly #inbox: Inbox;
  readonly #cancelling: Cancel;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #neededMs = Number.NEGATIVE_INFINITY;
  #nRequests = 0;
  #toldVisible: boolean | null = null;

  constructor(model: Model) {
    this.#model = model;
    this.#inbox = new Inbox(model, {
      receive: (message, bytes) => this.#receive(message, bytes),
      fail: (text) => this.#fail(text),
    });
    this.#cancelling = new Cancel((report) => this.#report(report));
    for (const event of CLOSING_EVENTS) model.on(event, this.#onClosed);
  }

  close(): void {
    clearTimeout(this.#patience);
    this.#stop.abort();
    this.#cancelling.dispose();
    this.#inbox.dispose();
    for (const event of CLOSING_EVENTS) this.#model.off(event, this.#onClosed);
    this.#listeners.clear();
    this.#asked.clear();
  }

  /** Calls `listener` after every change; gives what stops it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for a snapshot; said by every view when it is rendered. */
  hello(): void {
    this.#patience ??= setTimeout(() => this.#impatient(), PATIENCE_MS);
    this.#send({ kind: "hello", version: VERSION });
  }

  /** Tells the kernel once when the first view comes into sight and when the last one leaves it. */
  setVisible(view: object, visible: boolean | null): void {
    if (visible === null) this.#visibleViews.delete(view);
    else this.#visibleViews.set(view, visible);
    if (this.#visibleViews.size === 0) return;
    const anyVisible = [...this.#visibleViews.values()].includes(true);
    if (anyVisible === this.#toldVisible) return;
    this.#toldVisible = anyVisible;
    this.#send({ kind: "visible", visible: anyVisible });
  }

  /** Asks; gives what forgets the question. */
  ask(question: Question, hear: Hear): () => void {
    const request = ++this.#nRequests;
    const message = { ...question, request };
    const stop = new AbortController();
    this.#asked.set(request, (reply, bytes) => {
      stop.abort();
      hear(reply, bytes);
    });
    if (!this.#busy || !this.#askServer(message, () => this.#send(message))) {
      this.#send(message);
      after(ASIDE_MS, stop.signal, () => {
        this.#busy = true;
        this.#askServer(message, () => {});
      });
    }
    return () => {
      stop.abort();
      this.#asked.delete(request);
    };
  }

  /** Carries a deed out once: by the server where the kernel is busy, else by the kernel, which knows more. */
  carryOut(deed: Deed, told: (report: Report) => void): void {
    const stop = new AbortController();
    after(COMM_MS, stop.signal, () => told({ text: BUSY, done: false }));
    const hear = ({ text, run }: { text: string; run?: string }): void => {
      stop.abort();
      told({ text, done: true, run });
    };
    const byKernel = (): void => {
      const request = ++this.#nRequests;
      this.#asked.set(request, (reply) => reply.kind === "answer" && hear(reply));
      this.#send({ ...deed, request });
    };
    // A question tells whether the kernel is busy now.
    this.ask({ kind: "columns", names: ["attempt"], jobs: [0] }, () => {
      const { kind, ...part } = deed;
      const asked = { run: this.run?.head.id ?? "", action: kind, ...part };
      const server =
        this.#busy && askAside(asked, (answer) => (answer.ok ? hear(answer) : byKernel()), this.#stop.signal);
      if (!server) byKernel();
    });
  }

  /** Shows another run in a tab; false where there is no JupyterLab. */
  openRun(run: string): boolean {
    return askAside({ run, action: "open" }, () => {}, this.#stop.signal);
  }

  #askServer(question: Question & { request: number }, refused: () => void): boolean {
    const { run } = this;
    const stop = this.#stop;
    if (!run) return false;
    const hear = ({ ok, content, bytes }: BridgeAnswer): void => {
      if (!ok || !content) {
        refused();
        return;
      }
      this.#aside.add(content.request);
      this.#inbox.put(content, [bytes]);
    };
    return askAside({ run: run.head.id, action: "ask", question }, hear, stop.signal);
  }

  cancel(): void {
    const { run } = this;
    if (!run) return;
    const request = ++this.#nRequests;
    this.#cancelling.start(run.head.id, request, () => this.#send({ kind: "cancel", request }));
  }

  #send(message: BrowserMessage): void {
    try {
      this.#model.send(message);
    } catch {
      this.#lose("No kernel is connected");
    }
  }

  readonly #onClosed = (): void => {
    if (this.run?.clock.complete) return;
    this.#lose("Disconnected from the kernel");
  };

  #lose(what: string): void {
    this.trouble.lose(what, this.run);
    this.#tell();
  }

  #found(): void {
    this.trouble.end();
    this.#tell();
  }

  #receive(message: KernelMessage, bytes: Uint8Array): void {
    switch (message.kind) {
      case "snapshot":
        this.#setRun(message, bytes);
        break;
      case "changes":
        this.#onChanges(message, bytes);
        break;
      default:
        this.#onReply(message, bytes);
    }
  }

  #onReply(reply: Reply, bytes: Uint8Array): void {
    if (!this.#aside.delete(reply.request)) this.#busy = false;
    const hear = this.#asked.get(reply.request);
    this.#asked.delete(reply.request);
    hear?.(reply, bytes);
    if (reply.kind === "answer") this.#cancelling.answered(reply.request, reply.ok, reply.text);
  }

  #setRun(snapshot: Snapshot, bytes: Uint8Array): void {
    if (snapshot.version !== VERSION) {
      this.#fail(
        `The kernel speaks version ${snapshot.version} and this page version ${VERSION}; reload the page.`,
      );
      return;
    }
    try {
      this.run = Run.read(snapshot, bytes);
    } catch {
      this.#fail("The graph came incomplete; run the cell again.");
      return;
    }
    clearTimeout(this.#patience);
    this.#neededMs = Number.NEGATIVE_INFINITY;
    this.#found();
  }

  #onChanges(changes: Changes, bytes: Uint8Array): void {
    const outcome = this.#fold(changes, bytes);
    if (outcome === "gap") this.#need();
    if (outcome === "applied") this.#found();
  }

  #fold(changes: Changes, bytes: Uint8Array): Outcome {
    try {
      // Without a run the answer to "hello" is still to come.
      return this.run ? this.run.apply(changes, bytes) : "old";
    } catch {
      return "gap";
    }
  }

  #need(): void {
    const now = Date.now();
    if (now - this.#neededMs < NEED_AGAIN_MS) return;
    this.#neededMs = now;
    this.#send({ kind: "need" });
  }

  #report(report: CancelReport): void {
    this.cancelReport = report;
    this.#tell();
  }

  #impatient(): void {
    if (!this.run) this.#fail("No answer from the kernel. It may be busy, or gone: then run the cell again.");
  }

  #fail(text: string): void {
    this.trouble.fail(text);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
