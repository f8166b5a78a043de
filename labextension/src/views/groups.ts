/** Shows the jobs of one group of the run only, and cancels that group; nothing where the run has no groups. */

import type { GroupName } from "../contract";
import { button, element, setHidden, setText } from "../dom";
import type { Run } from "../runs";
import type { Columns } from "./columns";
import type { Host } from "./host";

export class GroupFilter {
  readonly element = element("span", "hbj-finder");
  /** Whether the run has groups, as far as is known. */
  any = false;
  readonly #host: Host;
  readonly #columns: Columns;
  readonly #changed: () => void;
  readonly #choice = element("select", "hbj-input", { "aria-label": "Show jobs of group" });
  readonly #cancel: HTMLButtonElement;
  readonly #said = element("span", "hbj-muted", { role: "status" });
  #groups: GroupName[] = [];
  /** Numbers of the chosen group and of those in it; null for all jobs. */
  #chosen: Set<number> | null = null;
  #asking = false;

  /** `changed` is called when other jobs are to be shown. */
  constructor(host: Host, columns: Columns, changed: () => void, signal: AbortSignal) {
    this.#host = host;
    this.#columns = columns;
    this.#changed = changed;
    this.#cancel = button("", "Cancel the group", () => this.#press(), signal);
    this.element.append(this.#choice, this.#cancel, this.#said);
    this.element.hidden = this.#cancel.hidden = true;
    this.#choice.addEventListener("change", () => this.#choose(), { signal });
    this.#cancel.addEventListener("blur", () => this.#sure(false), { signal });
    const forget = host.ask({ kind: "groups" }, (reply) => {
      if (reply.kind === "groups" && reply.groups.length > 0) this.#take(reply.groups);
    });
    signal.addEventListener("abort", forget, { once: true });
  }

  has(job: number): boolean {
    return this.#chosen?.has(this.#columns.value("group", job)) ?? true;
  }

  update(run: Run): void {
    setHidden(this.#cancel, !this.#chosen || run.clock.complete);
  }

  #take(groups: GroupName[]): void {
    this.any = true;
    this.#groups = groups;
    const options = groups.map(({ name }, index) => element("option", "", { value: index + 1 }, name));
    this.#choice.append(element("option", "", { value: 0 }, "all groups"), ...options);
    setHidden(this.element, false);
    this.#changed();
  }

  /** Parents come before the groups in them. */
  #choose(): void {
    const chosen = Number(this.#choice.value);
    const inside = new Set([chosen]);
    for (const [index, { parent }] of this.#groups.entries())
      if (parent > 0 && inside.has(parent)) inside.add(index + 1);
    this.#chosen = chosen > 0 ? inside : null;
    setText(this.#said, "");
    this.#sure(false);
    this.#changed();
  }

  /** The first press asks, the second one does it. */
  #press(): void {
    if (!this.#asking) {
      this.#sure(true);
      return;
    }
    this.#sure(false);
    const group = this.#groups[Number(this.#choice.value) - 1]?.name ?? "";
    this.#host.carryOut({ kind: "cancel", group }, ({ text }) => setText(this.#said, text));
  }

  #sure(asking: boolean): void {
    this.#asking = asking;
    setText(this.#cancel, asking ? "Really cancel its jobs?" : "Cancel the group");
  }
}
