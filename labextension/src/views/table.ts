/** The table of jobs: sorted, filtered, and with elements for the rows in sight only. */

import { isHeld } from "../dag/keys";
import { element, setAttribute, setHidden, setText } from "../dom";
import { formatCount, plural } from "../format";
import type { Run } from "../runs";
import { SEGMENTS, type SegmentName } from "../states";
import type { Columns } from "./columns";
import { FIELDS, type Field, type FieldName, GROUPED_COLUMNS, type Source, TABLE_COLUMNS } from "./fields";
import { GroupFilter } from "./groups";
import type { Host, Panel } from "./host";
import { Rest } from "./rest";
import { filterJobs, nameRanks, rowsInSight, sortByNumber } from "./rows";
import { ROW_PX, RowViews } from "./rowview";

const MAX_HEIGHT_PX = 364;

const REST_MS = 900;

export class JobsTable implements Panel {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #columns: Columns;
  readonly #rows = new RowViews();
  readonly #head = element("div", "hbj-tr hbj-th", { role: "row", "aria-rowindex": 1 });
  readonly #grid = element("div", "hbj-table", { role: "grid", "aria-label": "Jobs of the run" });
  readonly #search = element("input", "hbj-input", {
    type: "search",
    placeholder: "Filter by name",
    "aria-label": "Filter jobs by name",
  });
  readonly #states = element("select", "hbj-input", { "aria-label": "Show jobs in state" });
  readonly #groups: GroupFilter;
  readonly #said = element("span", "hbj-muted", { role: "status" });
  readonly #nothing = element("div", "hbj-rest", {}, "No job matches.");
  #source: Source;
  #jobs: Uint32Array = new Uint32Array();
  #ranks: Float64Array | null = null;
  #sortedBy: { field: Field; descending: boolean };
  #current = 0;
  #marked: number | null = null;
  /** The marked job is still to be brought into sight: not before there is something to see, as in a tab that is closed. */
  #toShow = false;
  readonly #resting: Rest;

  constructor(host: Host, run: Run, columns: Columns, signal: AbortSignal) {
    this.#host = host;
    this.#columns = columns;
    this.#source = { run, columns, nowMs: run.nowMs() };
    this.#resting = new Rest(() => this.update(this.#source.run), REST_MS, signal);
    this.#sortedBy = { field: fieldOf("number"), descending: false };
    this.#groups = new GroupFilter(host, columns, () => this.#again(), signal);
    const tools = element(
      "div",
      "hbj-tools",
      {},
      this.#search,
      this.#states,
      this.#groups.element,
      this.#said,
    );
    this.#states.append(...["", ...SEGMENTS.map(({ name }) => name)].map(option));
    this.#head.append(...FIELDS.map((field) => this.#headCell(field, signal)));
    this.#grid.append(element("div", "", { role: "rowgroup" }, this.#head), this.#rows.element);
    setAttribute(this.#grid, "aria-colcount", String(FIELDS.length));
    this.element = element("div", "hbj-jobs", {}, tools, this.#grid, this.#nothing);
    this.#listen(signal);
  }

  update(run: Run): void {
    this.#columns.update(run, this.#groups.any ? GROUPED_COLUMNS : TABLE_COLUMNS);
    this.#groups.update(run);
    this.#source = { run, columns: this.#columns, nowMs: run.nowMs() };
    this.#resting.work(`${run.seq} ${this.#columns.version}`, () => this.#arrange());
    this.#paint();
  }

  mark(job: number | null): void {
    this.#marked = job;
    this.#toShow = job !== null;
    this.#paint();
  }

  /** Filters and sorts again. */
  #arrange(): void {
    const { run } = this.#source;
    this.#jobs = filterJobs(run, this.#search.value, this.#segment(), (job) => this.#groups.has(job));
    const { field, descending } = this.#sortedBy;
    if (field.name !== "number" || descending) sortByNumber(this.#jobs, this.#keys(field), descending);
    const all = this.#jobs.length === run.n;
    setText(
      this.#said,
      all ? plural(run.n, "job") : `${formatCount(this.#jobs.length)} of ${plural(run.n, "job")}`,
    );
    setHidden(this.#nothing, this.#jobs.length > 0);
    setAttribute(this.#grid, "aria-rowcount", String(this.#jobs.length + 1));
    this.#rows.element.style.height = `${this.#jobs.length * ROW_PX}px`;
    this.#current = Math.max(0, Math.min(this.#current, this.#jobs.length - 1));
  }

  #keys(field: Field): Float64Array {
    const { run } = this.#source;
    if (field.name === "name") {
      this.#ranks ??= nameRanks(run.n, (job) => run.name(job));
      return this.#ranks;
    }
    const keys = new Float64Array(run.n);
    for (const job of this.#jobs) keys[job] = field.key(this.#source, job);
    return keys;
  }

  #paint(): void {
    if (this.#toShow && this.#grid.clientHeight) {
      this.#toShow = false;
      this.#show(Math.max(0, this.#jobs.indexOf(this.#marked ?? 0)));
    }
    const height = Math.min(MAX_HEIGHT_PX, this.#grid.clientHeight || MAX_HEIGHT_PX);
    const sight = rowsInSight(this.#grid.scrollTop, height, ROW_PX, this.#jobs.length);
    this.#rows.paint(sight, this.#jobs, this.#source, this.#current, this.#marked);
  }

  #segment(): SegmentName | "" {
    return SEGMENTS.find(({ name }) => name === this.#states.value)?.name ?? "";
  }

  #headCell(field: Field, signal: AbortSignal): HTMLElement {
    const sort = element("button", "hbj-sort", { type: "button" }, field.title);
    sort.addEventListener("click", () => this.#sortBy(field), { signal });
    const role = { role: "columnheader", "data-field": field.name, "aria-sort": "none" };
    const cell = element("span", `hbj-td hbj-f-${field.name}`, role, sort);
    if (field.name === "number") cell.setAttribute("aria-sort", "ascending");
    return cell;
  }

  #sortBy(field: Field): void {
    const again = this.#sortedBy.field === field;
    const first = field.number && field.name !== "number";
    this.#sortedBy = { field, descending: again ? !this.#sortedBy.descending : first };
    for (const cell of this.#head.children) {
      const mine = cell.getAttribute("data-field") === field.name;
      const order = this.#sortedBy.descending ? "descending" : "ascending";
      setAttribute(cell, "aria-sort", mine ? order : "none");
    }
    this.#again();
  }

  #again(): void {
    this.#resting.forget();
    this.#grid.scrollTop = 0;
    this.#current = 0;
    this.update(this.#source.run);
  }

  #listen(signal: AbortSignal): void {
    this.#search.addEventListener("input", () => this.#again(), { signal });
    this.#states.addEventListener("change", () => this.#again(), { signal });
    this.#grid.addEventListener("scroll", () => this.#paint(), { signal, passive: true });
    this.#grid.addEventListener("click", (event) => this.#onClick(event), { signal });
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    const resized = new ResizeObserver(() => this.#paint());
    resized.observe(this.#grid);
    signal.addEventListener("abort", () => resized.disconnect(), { once: true });
  }

  #onClick(event: Event): void {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-index]") : null;
    if (!row) return;
    this.#focus(Number(row.dataset.index));
    this.#host.openJob(Number(row.dataset.job));
  }

  #onKey(event: KeyboardEvent): void {
    if (isHeld(event)) return;
    if (!(event.target instanceof Element) || !event.target.closest("[data-index]")) return;
    const last = this.#jobs.length - 1;
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / ROW_PX) - 2);
    const targets: Record<string, number> = {
      ArrowDown: this.#current + 1,
      ArrowUp: this.#current - 1,
      PageDown: this.#current + page,
      PageUp: this.#current - page,
      Home: 0,
      End: last,
    };
    const next = targets[event.key];
    const job = this.#jobs[this.#current];
    if (next !== undefined) this.#focus(Math.max(0, Math.min(last, next)));
    else if (job !== undefined && (event.key === "Enter" || event.key === " ")) this.#host.openJob(job);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #show(index: number): void {
    this.#current = index;
    const top = index * ROW_PX;
    const least = top + 2 * ROW_PX - this.#grid.clientHeight;
    this.#grid.scrollTop = Math.max(least, Math.min(top, this.#grid.scrollTop));
  }

  #focus(index: number): void {
    this.#show(index);
    this.#paint();
    this.#rows.focus(index);
  }
}

function fieldOf(name: FieldName): Field {
  const field = FIELDS.find((one) => one.name === name);
  if (!field) throw new RangeError(`there is no field ${name}`);
  return field;
}

function option(name: string): HTMLElement {
  const word = name === "success" ? "succeeded" : name;
  return element("option", "", { value: name }, word || "all states");
}
