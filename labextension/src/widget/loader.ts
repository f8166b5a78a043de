/** Fetches the module of the views from the kernel when one is first needed, so that widgets that show the graph alone stay small. */

import { element } from "../dom";
import type { Run } from "../runs";
import type { Host, MakeViews, Views } from "../views/host";
import type { Session } from "./session";

/** After this the user is told why the views are not there yet, in ms. */
const SLOW_MS = 1500;

const ASKING = "Asking the kernel…";
const BUSY = "The kernel is busy; this comes when the running cell ends.";

/** Makes a module of its text; a host's page lets widgets themselves come this way. */
export type Import = (script: BlobPart) => Promise<MakeViews>;

export const importText: Import = async (script) => {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    const module: { default: MakeViews } = await import(/* webpackIgnore: true */ url); // the extension is bundled, the text is not
    return module.default;
  } finally {
    URL.revokeObjectURL(url);
  }
};

export interface Waiting {
  /** Gets the views when they are there. */
  ready(views: Views): void;
  /** Gets why they are not. */
  say(text: string): void;
}

/** The views of one place where the widget is shown. */
export class Loader {
  readonly #session: Session;
  readonly #importModule: Import;
  readonly #host: Host;
  readonly #place: Element;
  readonly #signal: AbortSignal;
  #views: Views | null = null;
  #waiting: Waiting[] = [];

  /** Style sheets go into `place`. */
  constructor(session: Session, importModule: Import, host: Host, place: Element, signal: AbortSignal) {
    this.#session = session;
    this.#importModule = importModule;
    this.#host = host;
    this.#place = place;
    this.#signal = signal;
  }

  /** Gives the views to who waits for them, at once when they are there. */
  need(run: Run, waiting: Waiting): void {
    if (this.#views) {
      waiting.ready(this.#views);
      return;
    }
    if (this.#waiting.includes(waiting)) return;
    waiting.say(ASKING);
    if (this.#waiting.push(waiting) === 1) this.#load(run);
  }

  #load(run: Run): void {
    const slow = setTimeout(() => this.#say(BUSY), SLOW_MS);
    const failed = (text: string): void => {
      this.#say(text);
      this.#waiting = [];
    };
    const forget = this.#session.ask({ kind: "views" }, (reply, bytes) => {
      clearTimeout(slow);
      if (reply.kind !== "views") {
        failed(reply.kind === "answer" ? reply.text : "The kernel gave another answer than was asked for.");
        return;
      }
      const style = element("style", "", {}, new TextDecoder().decode(bytes.subarray(reply.script)));
      this.#importModule(bytes.slice(0, reply.script)).then(
        (make) => this.#take(make, style, run),
        () => failed("This page does not let the view be loaded."),
      );
    });
    this.#signal.addEventListener("abort", () => [clearTimeout(slow), forget()], { once: true });
  }

  #say(text: string): void {
    for (const { say } of this.#waiting) say(text);
  }

  #take(make: MakeViews, style: Element, run: Run): void {
    if (this.#signal.aborted) return;
    this.#place.append(style);
    this.#views = make(this.#host, this.#session.run ?? run, this.#signal);
    for (const { ready } of this.#waiting.splice(0)) ready(this.#views);
  }
}
