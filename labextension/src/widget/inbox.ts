/** Hands the kernel's messages on in their order, also while the bytes of one are being inflated. */

import type { KernelMessage } from "../contract";
import { inflate } from "../decode";
import type { CustomListener, Model } from "./model";

export interface Receiver {
  /** `bytes` is the message's buffer, inflated; empty when it has none. */
  receive(message: KernelMessage, bytes: Uint8Array): void;
  fail(text: string): void;
}

type Letter = [message: KernelMessage, bytes: Uint8Array<ArrayBuffer>];

export class Inbox {
  readonly #model: Model;
  readonly #receiver: Receiver;
  readonly #held: Letter[] = [];
  #inflating = false;
  #disposed = false;

  constructor(model: Model, receiver: Receiver) {
    this.#model = model;
    this.#receiver = receiver;
    model.on("msg:custom", this.#onMessage);
  }

  /** Takes a message that came another way. */
  put(content: unknown, buffers: unknown): void {
    this.#onMessage(content, buffers);
  }

  dispose(): void {
    this.#disposed = true;
    this.#model.off("msg:custom", this.#onMessage);
  }

  readonly #onMessage: CustomListener = (content, buffers) => {
    if (!isKernelMessage(content)) return;
    this.#held.push([content, firstBuffer(buffers)]);
    this.#deliver();
  };

  #deliver(): void {
    while (!this.#inflating && !this.#disposed) {
      const letter = this.#held.shift();
      if (!letter) return;
      if ("deflate" in letter[0] && letter[0].deflate) void this.#inflateThenDeliver(letter);
      else this.#receiver.receive(...letter);
    }
  }

  async #inflateThenDeliver([message, bytes]: Letter): Promise<void> {
    this.#inflating = true;
    const inflated = await inflate(bytes).catch(() => null);
    this.#inflating = false;
    if (this.#disposed) return;
    if (inflated) this.#receiver.receive(message, inflated);
    else this.#receiver.fail("What the kernel sent could not be unpacked; run the cell again.");
    this.#deliver();
  }
}

/** A copy of the first buffer: hosts give views into larger buffers, of which some are reused. */
function firstBuffer(buffers: unknown): Uint8Array<ArrayBuffer> {
  const view: unknown = Array.isArray(buffers) ? buffers[0] : undefined;
  if (view instanceof ArrayBuffer) return new Uint8Array(view.slice(0));
  if (!ArrayBuffer.isView(view)) return new Uint8Array();
  return Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

function isKernelMessage(content: unknown): content is KernelMessage {
  if (typeof content !== "object" || content === null || !("kind" in content)) return false;
  return ["snapshot", "changes", "job", "answer", "columns", "views", "log", "find", "groups"].includes(
    String(content.kind),
  );
}
