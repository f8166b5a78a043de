/** The widget's model without a kernel: what the widget says goes to the server, what the run has to tell comes back. */

import type { BrowserMessage, KernelMessage, Letter } from "../contract";
import { bytesOf, type Fetched } from "../request";
import type { CustomListener, Model } from "../widget/model";

/** Pause between two turns while the run goes on and is seen, in ms. */
export const PACE_MS = 500;

const LONGEST_MS = 30_000;

export type Converse = (messages: readonly BrowserMessage[]) => Promise<Fetched<{ messages: Letter[] }>>;

export interface RemoteListener {
  /** The first message is there. */
  begun(): void;
  /** Why the run cannot be read now, or "". */
  trouble(text: string): void;
}

export class RemoteModel implements Model {
  readonly #converse: Converse;
  readonly #listener: RemoteListener;
  readonly #heard = new Map<string, Set<CustomListener>>();
  #outbox: BrowserMessage[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #talking = false;
  #disposed = false;
  #begun = false;
  #visible = true;
  #complete = false;
  #gone = false;
  #nFailed = 0;

  constructor(converse: Converse, listener: RemoteListener) {
    this.#converse = converse;
    this.#listener = listener;
  }

  send(message: BrowserMessage): void {
    if (message.kind === "visible") this.#visible = message.visible;
    this.#outbox.push(message);
    if (!this.#gone) this.#plan(0);
  }

  on(event: string, listener: CustomListener): void {
    this.#heard.set(event, (this.#heard.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: CustomListener): void {
    this.#heard.get(event)?.delete(listener);
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#heard.clear();
  }

  #plan(pauseMs: number): void {
    clearTimeout(this.#timer);
    if (this.#disposed || this.#talking) return;
    this.#timer = setTimeout(() => void this.#turn(), pauseMs);
  }

  async #turn(): Promise<void> {
    this.#talking = true;
    const said = this.#outbox;
    this.#outbox = [];
    const answer = await this.#converse(said);
    this.#talking = false;
    if (this.#disposed) return;
    if (answer.ok) this.#onLetters(answer.value.messages);
    else this.#onTrouble(said, answer.text, answer.gone);
    this.#planNext();
  }

  #onLetters(letters: readonly Letter[]): void {
    this.#nFailed = 0;
    this.#listener.trouble("");
    for (const { content, buffer } of letters) {
      this.#note(content);
      const buffers = buffer === null ? [] : [new DataView(bytesOf(buffer).buffer)];
      for (const listener of this.#heard.get("msg:custom") ?? []) listener(content, buffers);
    }
    if (letters.length > 0 && !this.#begun) {
      this.#begun = true;
      this.#listener.begun();
    }
  }

  #onTrouble(said: readonly BrowserMessage[], text: string, gone: boolean): void {
    this.#nFailed++;
    this.#gone = gone;
    this.#outbox.unshift(...said);
    this.#listener.trouble(text);
  }

  #note(message: KernelMessage): void {
    if (message.kind === "snapshot") this.#complete = message.run.clock.complete;
    if (message.kind === "changes") this.#complete = message.clock.complete;
  }

  /** What has ended has nothing to tell any more but answers; what nobody sees waits. */
  #planNext(): void {
    if (this.#gone) return;
    if (this.#nFailed > 0) this.#plan(Math.min(PACE_MS * 2 ** this.#nFailed, LONGEST_MS));
    else if (this.#outbox.length > 0) this.#plan(0);
    else if (this.#visible && !this.#complete) this.#plan(PACE_MS);
  }
}
