/** Draws a timeline on a canvas: axis, queue, a bar for each job in sight. Knows no events. */

import { formatDuration } from "../format";
import type { Run } from "../runs";
import { stateName } from "../states";
import type { Columns } from "./columns";
import { firstEnding, type Lanes, tickStep } from "./lanes";

export const AXIS_PX = 20;
export const QUEUE_PX = 26;
export const TOP_PX = AXIS_PX + QUEUE_PX + 4;
export const LEFT_PX = 64;
const LABEL_PX = 8;

export interface Scene {
  run: Run;
  columns: Columns;
  lanes: Lanes;
  /** Jobs that waited for their turn, at each pixel of the whole time. */
  queue: Float64Array;
  /** The moment at the left edge of the lanes, and how long a pixel is. */
  leftMs: number;
  msPerPx: number;
  /** How far the lanes are scrolled, and how high each is. */
  scrollPx: number;
  lanePx: number;
  width: number;
  height: number;
  /** The job under the mouse or chosen with the keys. */
  current: number | null;
}

export interface Colours {
  text: string;
  muted: string;
  line: string;
  paper: string;
  idle: string;
  focus: string;
  state: Record<"success" | "running" | "failed" | "cancelled", string>;
}

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--hbj-${name}`).trim() || "gray";
  const state = {
    success: of("success"),
    running: of("running"),
    failed: of("failed"),
    cancelled: of("cancelled"),
  };
  return {
    text: of("text"),
    muted: of("muted"),
    line: of("line"),
    paper: of("paper"),
    idle: of("idle"),
    focus: of("focus"),
    state,
  };
}

export function drawGantt(pen: CanvasRenderingContext2D, scene: Scene, colours: Colours, font: string): void {
  pen.clearRect(0, 0, scene.width, scene.height);
  pen.font = font;
  pen.textBaseline = "middle";
  drawAxis(pen, scene, colours);
  drawQueue(pen, scene, colours);
  pen.save();
  pen.beginPath();
  pen.rect(0, TOP_PX, scene.width, scene.height - TOP_PX);
  pen.clip();
  drawLanes(pen, scene, colours);
  pen.restore();
}

function drawAxis(pen: CanvasRenderingContext2D, scene: Scene, { muted, line }: Colours): void {
  const { leftMs, msPerPx, width, lanes, height } = scene;
  const spanMs = (width - LEFT_PX) * msPerPx;
  const step = tickStep(spanMs, Math.max(2, (width - LEFT_PX) / 90));
  const first = Math.ceil((leftMs - lanes.fromMs) / step) * step;
  for (let after = first; after <= leftMs - lanes.fromMs + spanMs; after += step) {
    const x = Math.round(xOf(scene, lanes.fromMs + after)) + 0.5;
    pen.fillStyle = line;
    pen.fillRect(x, AXIS_PX - 4, 1, height - AXIS_PX + 4);
    pen.fillStyle = muted;
    const text = step < 1000 ? `${after / 1000} s` : formatDuration(after);
    const half = pen.measureText(text).width / 2;
    pen.fillText(text, Math.max(LEFT_PX, Math.min(width - 2 * half - 2, x - half)), AXIS_PX / 2 - 1);
  }
}

function xOf({ leftMs, msPerPx }: Scene, momentMs: number): number {
  return LEFT_PX + (momentMs - leftMs) / msPerPx;
}

function drawQueue(pen: CanvasRenderingContext2D, scene: Scene, { muted, idle, line }: Colours): void {
  const { queue, lanes, leftMs, msPerPx, width } = scene;
  const top = queue.reduce((most, value) => Math.max(most, value), 1);
  const bottom = AXIS_PX + QUEUE_PX;
  const perMs = queue.length / Math.max(1, lanes.toMs - lanes.fromMs);
  pen.fillStyle = idle;
  for (let x = LEFT_PX; x < width; x++) {
    const bin = Math.floor((leftMs + (x - LEFT_PX) * msPerPx - lanes.fromMs) * perMs);
    const value = queue[bin] ?? 0;
    if (value > 0) pen.fillRect(x, bottom, 1, -Math.max(1, ((QUEUE_PX - 4) * value) / top));
  }
  pen.fillStyle = muted;
  pen.fillText("queued", LABEL_PX, bottom - 8);
  pen.fillStyle = line;
  pen.fillRect(0, bottom + 1, width, 1);
}

function drawLanes(pen: CanvasRenderingContext2D, scene: Scene, colours: Colours): void {
  const { lanes, lanePx, scrollPx, height } = scene;
  const first = Math.max(0, Math.floor(scrollPx / lanePx));
  const end = Math.min(lanes.lanes.length, Math.ceil((scrollPx + height - TOP_PX) / lanePx));
  const every = Math.ceil(13 / lanePx);
  for (let lane = first; lane < end; lane++) {
    const top = TOP_PX + lane * lanePx - scrollPx;
    drawLane(pen, scene, colours, lanes.lanes[lane] ?? new Uint32Array(), top);
    if (lane % every > 0) continue;
    pen.fillStyle = colours.muted;
    pen.fillText(`${lanes.slotted ? "slot" : "row"} ${lane + 1}`, LABEL_PX, top + Math.max(7, lanePx / 2));
  }
}

function drawLane(
  pen: CanvasRenderingContext2D,
  scene: Scene,
  colours: Colours,
  jobs: Uint32Array,
  top: number,
): void {
  const { lanes, leftMs, msPerPx, width } = scene;
  const rightMs = leftMs + (width - LEFT_PX) * msPerPx;
  let filledTo = Number.NEGATIVE_INFINITY;
  for (let index = firstEnding(lanes, jobs, leftMs); index < jobs.length; index++) {
    const job = jobs[index] ?? 0;
    if ((lanes.begin[job] ?? 0) > rightMs) break;
    const right = xOf(scene, lanes.end[job] ?? 0);
    const name = stateName(scene.run.state[job] ?? 0);
    // Many short jobs in one pixel are drawn once; a failed one always.
    if (right <= filledTo && name !== "failed" && job !== scene.current) continue;
    drawBar(pen, scene, colours, job, top);
    filledTo = Math.max(filledTo, Math.ceil(right));
  }
}

function drawBar(
  pen: CanvasRenderingContext2D,
  scene: Scene,
  colours: Colours,
  job: number,
  top: number,
): void {
  const { columns, lanes, lanePx } = scene;
  const begin = lanes.begin[job] ?? 0;
  const end = lanes.end[job] ?? 0;
  const main = orElse(columns.value("main", job), begin);
  const output = orElse(columns.value("output", job), end);
  const name = stateName(scene.run.state[job] ?? 0);
  const colour = colourOf(colours, name);
  const height = Math.max(1, lanePx - (lanePx > 8 ? 4 : 1));
  const y = top + (lanePx - height) / 2;
  const clip = (momentMs: number): number => Math.max(LEFT_PX, xOf(scene, momentMs));
  pen.fillStyle = colour;
  const thin = Math.max(1, height * 0.35);
  pen.fillRect(clip(begin), y + (height - thin) / 2, clip(main) - clip(begin), thin);
  pen.fillRect(clip(output), y + (height - thin) / 2, clip(end) - clip(output), thin);
  const x = clip(main);
  const width = Math.max(1, clip(output) - x - (clip(output) - x > 3 ? 1 : 0));
  pen.globalAlpha = name === "running" ? 0.35 : 1;
  pen.fillRect(x, y, width, height);
  pen.globalAlpha = 1;
  if (name === "running" && width > 3) {
    pen.strokeStyle = colour;
    pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  }
  if (isBroken(name) && width > 9 && height > 8) drawCross(pen, colours.paper, x + width / 2, y + height / 2);
  if (job === scene.current) drawCurrent(pen, scene, colours, job, [clip(begin), y, clip(end), height]);
}

/** The bar's frame, and a line since the job waited for its turn. */
function drawCurrent(
  pen: CanvasRenderingContext2D,
  scene: Scene,
  colours: Colours,
  job: number,
  [left, y, right, height]: readonly [number, number, number, number],
): void {
  const ready = scene.columns.value("ready", job);
  pen.fillStyle = colours.text;
  if (!Number.isNaN(ready)) {
    const from = Math.max(LEFT_PX, xOf(scene, ready));
    pen.fillRect(from, y + height / 2 - 0.5, Math.max(0, left - from), 1);
    pen.fillRect(from, y + height / 2 - 3, 1, 6);
  }
  pen.strokeStyle = colours.text;
  pen.lineWidth = 2;
  pen.strokeRect(left - 1, y - 1, right - left + 2, height + 2);
  pen.lineWidth = 1;
}

function drawCross(pen: CanvasRenderingContext2D, colour: string, x: number, y: number): void {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const sign of [1, -1]) {
    pen.moveTo(x - 3, y - 3 * sign);
    pen.lineTo(x + 3, y + 3 * sign);
  }
  pen.stroke();
  pen.lineWidth = 1;
}

function isBroken(name: string): boolean {
  return name === "failed" || name === "error";
}

function colourOf({ state }: Colours, name: string): string {
  if (isBroken(name)) return state.failed;
  if (name === "success" || name === "running") return state[name];
  return name === "reused" ? state.success : state.cancelled;
}

function orElse(value: number, otherwise: number): number {
  return Number.isNaN(value) ? otherwise : value;
}
