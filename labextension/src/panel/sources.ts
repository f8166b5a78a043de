/** Everything that the panel lists: the runs of this machine, and the batches of the batch service, which never hold them up. No DOM. */

import type { RunList, RunRow, ServicePage } from "../contract";
import type { Fetched } from "../request";
import type { Listener, Listing, Runs } from "./runs";

/** The service is asked so many times more rarely than this machine. */
const RARER = 5;

export class Sources implements Listing {
  readonly #machine: Runs;
  readonly #service: Runs;
  readonly #pages: ServicePages;

  constructor(machine: Runs, service: Runs, pages: ServicePages) {
    [this.#machine, this.#service, this.#pages] = [machine, service, pages];
  }

  /** Newest first. */
  get rows(): readonly RunRow[] | null {
    const [here, there] = [this.#machine.rows, this.#service.rows];
    if (!there?.length) return here ?? (this.#machine.trouble ? there : null);
    return [...(here ?? []), ...there].sort((left, right) => right.created_ms - left.created_ms);
  }

  get trouble(): string {
    return this.#machine.trouble;
  }

  get note(): string {
    return this.#service.trouble;
  }

  get more(): boolean {
    return this.#pages.more;
  }

  get running(): readonly RunRow[] {
    return [...this.#machine.running, ...this.#service.running];
  }

  nowMs(): number {
    return this.#machine.nowMs();
  }

  subscribe(listener: Listener): () => void {
    const stops = [this.#machine, this.#service].map((runs) => runs.subscribe(listener));
    return () => {
      for (const stop of stops) stop();
    };
  }

  setPoll(seconds: number): void {
    this.#machine.setPoll(seconds);
    this.#service.setPoll(RARER * seconds);
  }

  async refresh(): Promise<void> {
    await Promise.all([this.#machine.refresh(), this.#service.refresh()]);
  }

  async showMore(): Promise<void> {
    this.#pages.wanted++;
    await this.#service.refresh();
  }

  dispose(): void {
    this.#machine.dispose();
    this.#service.dispose();
  }
}

/** The pages of the service's list that somebody wanted to see: the first one, and on demand the next. */
export class ServicePages {
  wanted = 1;
  /** Whether the service has still older batches. */
  more = false;
  readonly #fetchPage: (before: number | null) => Promise<Fetched<ServicePage>>;

  constructor(fetchPage: (before: number | null) => Promise<Fetched<ServicePage>>) {
    this.#fetchPage = fetchPage;
  }

  /** All wanted pages as one list; a Jupyter server without these routes has none. */
  async read(): Promise<Fetched<RunList>> {
    const runs: RunRow[] = [];
    let [now_ms, before]: [number, number | null] = [Date.now(), null];
    for (let page = 0; page < this.wanted; page++) {
      const found = await this.#fetchPage(before);
      if (!found.ok) return found.gone ? { ok: true, value: { now_ms, runs } } : found;
      const { trouble, service, next } = found.value;
      if (trouble) return { ok: false, text: service ? `${service}: ${trouble}` : trouble, gone: false };
      runs.push(...found.value.runs);
      [now_ms, before] = [found.value.now_ms, next];
      this.more = next !== null;
      if (before === null) break;
    }
    return { ok: true, value: { now_ms, runs } };
  }
}
