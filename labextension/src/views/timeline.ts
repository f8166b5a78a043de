/** The timeline: a lane for each slot, a bar for each job with its phases, and how many jobs waited for their turn. */

import type { ColumnName } from "../contract";
import { isHeld } from "../dag/keys";
import { button, element, setAttribute, setHidden, setText } from "../dom";
import { formatTook, plural } from "../format";
import type { Run } from "../runs";
import { WORDS } from "../states";
import type { Columns } from "./columns";
import { coloursOf, drawGantt, LEFT_PX, type Scene, TOP_PX } from "./gantt";
import type { Host, Panel } from "./host";
import { jobAt, type Lanes, laneJobs } from "./lanes";
import { Rest } from "./rest";
import { inUse, type Use } from "./series";

const NEEDS: readonly ColumnName[] = ["ready", "started", "main", "output", "ended", "slot"];
const MAX_HEIGHT_PX = 320;
const LANE_PX = { least: 5, most: 20 };
const MAX_ZOOM = 4096;
const QUEUE_BINS = 1200;
const DEFAULT_WIDTH_PX = 640;
/** How near to a bar the mouse has to be. */
const SLACK_PX = 4;
const REST_MS = 200;

const HINT = "Point at a bar or move with the arrow keys to read of a job; Ctrl and the wheel zoom.";

const LEGEND = [
  ["queued", "waits for a slot"],
  ["input", "copies inputs"],
  ["run", "runs"],
  ["output", "copies outputs"],
] as const;

export class Timeline implements Panel {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #columns: Columns;
  readonly #canvas = element("canvas", "hbj-gantt", { "aria-hidden": "true" });
  readonly #space = element("div", "hbj-gantt-space", {}, this.#canvas);
  readonly #viewport = element("div", "hbj-timeline", { role: "group", tabindex: 0 }, this.#space);
  readonly #said = element("div", "hbj-said", { role: "status" }, HINT);
  readonly #nothing = element("div", "hbj-rest", {}, "No job has begun yet.");
  #run: Run;
  #marked: number | null = null;
  #lanes: Lanes;
  #queue: Float64Array = new Float64Array(1);
  #zoom = 1;
  #current: number | null = null;
  readonly #resting: Rest;

  constructor(host: Host, run: Run, columns: Columns, signal: AbortSignal) {
    this.#host = host;
    this.#columns = columns;
    this.#run = run;
    this.#resting = new Rest(() => this.update(this.#run), REST_MS, signal);
    this.#lanes = laneJobs(0, columns, run.nowMs());
    const legend = element("div", "hbj-legend", {}, ...LEGEND.map(legendItem));
    const zooms = [
      button("hbj-zoom", "−", () => this.#zoomBy(1 / 2), signal),
      button("hbj-zoom", "+", () => this.#zoomBy(2), signal),
      button("", "Fit", () => this.#zoomBy(0), signal),
    ];
    ["Zoom out", "Zoom in", "Show the whole run"].forEach((label, at) => {
      zooms[at]?.setAttribute("aria-label", label);
    });
    const tools = element("div", "hbj-tools", {}, legend, ...zooms);
    this.element = element("div", "hbj-time", {}, tools, this.#viewport, this.#nothing, this.#said);
    this.#listen(signal);
  }

  update(run: Run): void {
    this.#run = run;
    this.#columns.update(run, NEEDS);
    this.#resting.work(`${run.seq} ${this.#columns.version}`, () => this.#make());
    this.#draw();
  }

  mark(job: number | null): void {
    this.#marked = job;
    if (job === null || job === this.#current || !this.#lanes.lanes.some((jobs) => jobs.includes(job)))
      return;
    this.#reveal(job);
  }

  #make(): void {
    const run = this.#run;
    const columns = this.#columns;
    this.#lanes = laneJobs(run.n, columns, run.nowMs());
    this.#queue = inUse(waits(run, columns), this.#lanes.fromMs, this.#lanes.toMs, QUEUE_BINS);
    const nLanes = this.#lanes.lanes.length;
    setHidden(this.#nothing, nLanes > 0);
    setHidden(this.#viewport, nLanes === 0);
    if (this.#current === null) this.mark(this.#marked);
    const what = `${plural(run.n, "job")} on ${plural(nLanes, this.#lanes.slotted ? "slot" : "row")}`;
    setAttribute(
      this.#viewport,
      "aria-label",
      `Timeline of ${what}; arrow keys move from job to job, Enter opens one`,
    );
  }

  get #width(): number {
    return this.#viewport.clientWidth || DEFAULT_WIDTH_PX;
  }

  get #lanePx(): number {
    const fair = (MAX_HEIGHT_PX - TOP_PX) / Math.max(1, this.#lanes.lanes.length);
    return Math.floor(Math.max(LANE_PX.least, Math.min(LANE_PX.most, fair)));
  }

  get #msPerPx(): number {
    const spanMs = Math.max(1, this.#lanes.toMs - this.#lanes.fromMs);
    return spanMs / (Math.max(1, this.#width - LEFT_PX - 8) * this.#zoom);
  }

  #draw(): void {
    const lanes = this.#lanes;
    const width = this.#width;
    const lanePx = this.#lanePx;
    const whole = TOP_PX + lanes.lanes.length * lanePx + 4;
    const height = Math.min(MAX_HEIGHT_PX, whole);
    // The scroll bar below takes its room from the viewport.
    this.#viewport.style.height = `${height + this.#viewport.offsetHeight - this.#viewport.clientHeight}px`;
    this.#space.style.width = `${LEFT_PX + (width - LEFT_PX) * this.#zoom}px`;
    this.#space.style.height = `${whole}px`;
    const pen = this.#prepared(width, height);
    if (!pen) return;
    const { fontFamily } = getComputedStyle(this.element);
    const { scrollLeft, scrollTop } = this.#viewport;
    const leftMs = lanes.fromMs + scrollLeft * this.#msPerPx;
    const rest = { leftMs, msPerPx: this.#msPerPx, scrollPx: scrollTop, lanePx, width, height };
    const scene: Scene = {
      run: this.#run,
      columns: this.#columns,
      lanes,
      queue: this.#queue,
      current: this.#current,
      ...rest,
    };
    drawGantt(pen, scene, coloursOf(this.element), `11px ${fontFamily}`);
  }

  /** The canvas in the size of the viewport, sharp on every screen. */
  #prepared(width: number, height: number): CanvasRenderingContext2D | null {
    const sharp = window.devicePixelRatio || 1;
    const canvas = this.#canvas;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(height * sharp);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen?.setTransform(sharp, 0, 0, sharp, 0, 0);
    return pen;
  }

  /** Keeps what is in the middle there; 0 shows everything. */
  #zoomBy(factor: number): void {
    const half = (this.#width - LEFT_PX) / 2;
    const middleMs = (this.#viewport.scrollLeft + half) * this.#msPerPx;
    this.#zoom = factor === 0 ? 1 : Math.max(1, Math.min(MAX_ZOOM, this.#zoom * factor));
    this.#draw();
    this.#viewport.scrollLeft = middleMs / this.#msPerPx - half;
    this.#draw();
  }

  #listen(signal: AbortSignal): void {
    const viewport = this.#viewport;
    viewport.addEventListener("scroll", () => this.#draw(), { signal, passive: true });
    viewport.addEventListener("pointermove", (event) => this.#point(this.#jobUnder(event)), { signal });
    viewport.addEventListener("click", (event) => this.#open(this.#jobUnder(event)), { signal });
    viewport.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    viewport.addEventListener("wheel", (event) => this.#onWheel(event), { signal });
    const resized = new ResizeObserver(() => this.#draw());
    resized.observe(this.element);
    signal.addEventListener("abort", () => resized.disconnect(), { once: true });
  }

  #jobUnder(event: MouseEvent): number | null {
    const box = this.#viewport.getBoundingClientRect();
    const x = event.clientX - box.left - this.#viewport.clientLeft - LEFT_PX;
    const y = event.clientY - box.top - this.#viewport.clientTop - TOP_PX;
    if (y < 0) return null;
    const lane = Math.floor((y + this.#viewport.scrollTop) / this.#lanePx);
    const momentMs = this.#lanes.fromMs + (x + this.#viewport.scrollLeft) * this.#msPerPx;
    return jobAt(this.#lanes, this.#lanes.lanes[lane], momentMs, SLACK_PX * this.#msPerPx);
  }

  #point(job: number | null): void {
    if (job === null || job === this.#current) return;
    this.#current = job;
    setText(this.#said, this.#describe(job));
    this.#draw();
  }

  #open(job: number | null): void {
    if (job === null) return;
    this.#point(job);
    this.#host.openJob(job);
  }

  /** "fit-3, succeeded: queued 2.0 s, input 0.1 s, ran 3.0 s, output <0.1 s". */
  #describe(job: number): string {
    const columns = this.#columns;
    const lanes = this.#lanes;
    const run = this.#run;
    const moments = NEEDS.slice(0, 5).map((name) => columns.value(name, job));
    const [ready, started, main, output] = moments;
    const begin = started ?? Number.NaN;
    const end = lanes.end[job] ?? Number.NaN;
    const parts: [string, number][] = [
      ["queued", begin - (ready ?? Number.NaN)],
      ["input", (main ?? Number.NaN) - begin],
      ["ran", least(output, end) - greatest(main, begin)],
      ["output", end - (output ?? Number.NaN)],
    ];
    const told = parts
      .filter(([, tookMs]) => tookMs >= 0)
      .map(([word, tookMs]) => `${word} ${formatTook(tookMs)}`);
    return `${run.name(job)}, ${WORDS[run.stateOf(job)]}: ${told.join(", ")}`;
  }

  #onWheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#zoomBy(event.deltaY < 0 ? 1.25 : 0.8);
  }

  #onKey(event: KeyboardEvent): void {
    if (isHeld(event)) return;
    if (event.key === "Enter" || event.key === " ") this.#open(this.#current);
    else if (!this.#move(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(key: string): boolean {
    const { lanes } = this.#lanes;
    const at = lanes.findIndex((jobs) => this.#current !== null && jobs.includes(this.#current));
    const lane = lanes[Math.max(0, at)] ?? new Uint32Array();
    const index = this.#current === null ? -1 : lane.indexOf(this.#current);
    const beside = (step: number): number | null =>
      jobAt(
        this.#lanes,
        lanes[at + step],
        this.#lanes.begin[this.#current ?? 0] ?? 0,
        Number.POSITIVE_INFINITY,
      );
    const targets: Record<string, () => number | null | undefined> = {
      ArrowLeft: () => lane[Math.max(0, index - 1)],
      ArrowRight: () => lane[Math.min(lane.length - 1, index + 1)],
      ArrowUp: () => beside(-1),
      ArrowDown: () => (at < 0 ? lane[0] : beside(1)),
      Home: () => lane[0],
      End: () => lane[lane.length - 1],
    };
    const target = targets[key];
    if (!target) return false;
    const job = target();
    if (job !== undefined && job !== null) this.#reveal(job);
    return true;
  }

  /** Chooses a job and brings its bar into sight. */
  #reveal(job: number): void {
    const viewport = this.#viewport;
    const lanes = this.#lanes;
    const msPerPx = this.#msPerPx;
    const lanePx = this.#lanePx;
    const x = ((lanes.begin[job] ?? 0) - lanes.fromMs) / msPerPx;
    const y = lanes.lanes.findIndex((jobs) => jobs.includes(job)) * lanePx;
    if (x < viewport.scrollLeft || x > viewport.scrollLeft + this.#width - LEFT_PX)
      viewport.scrollLeft = x - 40;
    const room = viewport.clientHeight - TOP_PX - lanePx;
    viewport.scrollTop = Math.max(y - room, Math.min(y, viewport.scrollTop));
    this.#point(job);
  }
}

function* waits(run: Run, columns: Columns): Generator<Use> {
  const nowMs = run.nowMs();
  for (let job = 0; job < run.n; job++) {
    const begin = columns.value("ready", job);
    if (Number.isNaN(begin)) continue;
    const started = columns.value("started", job);
    const ended = columns.value("ended", job);
    yield { begin, end: Number.isNaN(started) ? (Number.isNaN(ended) ? nowMs : ended) : started, amount: 1 };
  }
}

function least(value: number | undefined, other: number): number {
  return value === undefined || Number.isNaN(value) ? other : Math.min(value, other);
}

function greatest(value: number | undefined, other: number): number {
  return value === undefined || Number.isNaN(value) ? other : Math.max(value, other);
}

function legendItem([name, title]: readonly [string, string]): HTMLElement {
  const sign = element("span", "hbj-legend-sign", { "data-phase": name, "aria-hidden": "true" });
  return element("span", "hbj-legend-item", { title }, sign, name);
}
