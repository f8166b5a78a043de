/** What went wrong, where the user looks: each failed job with the end of its log. */

import type { Failure } from "../contract";
import { button, element, glyph, setHidden, setText } from "../dom";
import { formatCount, plainLog, plural } from "../format";
import type { Run } from "../runs";
import { type StateName, WORDS } from "../states";

/** Jobs listed at most. */
const MAX_LISTED = 20;

export class Failures {
  readonly element: HTMLElement;
  readonly #title = element("div", "hbj-section-title");
  readonly #list = element("div", "hbj-failure-list");
  readonly #rest = element("div", "hbj-rest");
  readonly #open: (job: number) => void;
  readonly #signal: AbortSignal;
  readonly #items = new Map<number, { said: string; element: HTMLDetailsElement }>();

  /** `open` shows the details of a job. */
  constructor(open: (job: number) => void, signal: AbortSignal) {
    this.#open = open;
    this.#signal = signal;
    this.element = element(
      "section",
      "hbj-failures",
      { "aria-label": "Failed jobs" },
      this.#title,
      this.#list,
      this.#rest,
    );
  }

  /** Keeps what the user has opened: an item is made again only when its text changes. */
  update(run: Run): void {
    const listed = run.failures.slice(0, MAX_LISTED);
    const nFailed = Math.max(listed.length, (run.counts[5] ?? 0) + (run.counts[6] ?? 0));
    setHidden(this.element, listed.length === 0);
    setText(this.#title, `${plural(nFailed, "job")} failed`);
    setText(this.#rest, `${listed.length} of ${formatCount(nFailed)} shown.`);
    setHidden(this.#rest, nFailed <= listed.length);
    const jobs = new Set(listed.map((failure) => failure.job));
    for (const [job, item] of this.#items) {
      if (jobs.has(job)) continue;
      item.element.remove();
      this.#items.delete(job);
    }
    listed.forEach((failure, index) => {
      const item = this.#item(failure, index === 0);
      const here = this.#list.children[index] ?? null;
      if (here === item) return;
      this.#list.insertBefore(item, here);
      showEnd(item);
    });
  }

  #item(failure: Failure, first: boolean): HTMLElement {
    const said = JSON.stringify(failure);
    const known = this.#items.get(failure.job);
    if (known?.said === said) return known.element;
    const made = failureItem(failure);
    made.append(button("hbj-more", "Details", () => this.#open(failure.job), this.#signal));
    made.addEventListener("toggle", () => showEnd(made), { signal: this.#signal });
    made.open = known ? known.element.open : first && this.#items.size === 0;
    known?.element.remove();
    this.#items.set(failure.job, { said, element: made });
    return made;
  }
}

/** The last line of a log says what is wrong. */
function showEnd(item: HTMLElement): void {
  const log = item.querySelector("pre");
  if (log) log.scrollTop = log.scrollHeight;
}

function failureItem(failure: Failure): HTMLDetailsElement {
  const state = failureState(failure.state);
  const summary = element("summary", "hbj-failure-head");
  summary.append(glyph(state), element("span", "hbj-failure-name", {}, failure.name));
  summary.append(element("span", "hbj-muted", {}, headline(failure, state)));
  const made = element("details", "hbj-failure", { "data-job": failure.job, "data-state": state }, summary);
  const tail = plainLog(failure.tail).trimEnd();
  if (tail) {
    made.append(
      element(
        "pre",
        "hbj-log",
        { role: "group", tabindex: 0, "aria-label": `End of the log of ${failure.name}` },
        tail,
      ),
    );
  } else {
    made.append(element("div", "hbj-muted hbj-no-log", {}, "The log is empty."));
  }
  return made;
}

function headline({ exit_code, reason }: Failure, state: StateName): string {
  const parts = [WORDS[state], exit_code === null ? "" : `exit code ${exit_code}`, reason];
  return parts.filter((part) => part).join(" · ");
}

/** The state's own word, in whatever case it came; anything unknown is a failure. */
export function failureState(state: string): StateName {
  const name = state.toLowerCase();
  return name === "error" || name === "cancelled" ? name : "failed";
}
