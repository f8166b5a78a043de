/** A small chart over time: an area for what was granted, a line for what was used, layers for what came together. */

import { element, setAttribute, setText, svg } from "../dom";
import { formatTook } from "../format";
import { roundTop } from "./series";

export const BINS = 300;
const HEIGHT = 100;

export interface Series {
  name: string;
  /** Layers are drawn over one another, so the uppermost, whose values are the sum of all, comes first. */
  form: "area" | "line" | "layer";
  values: Float64Array;
  /** Which shade a layer has. */
  shade?: number;
  /** What a layer has by itself. */
  own?: number;
}

export class Chart {
  readonly element: HTMLElement;
  readonly #title: string;
  readonly #format: (value: number) => string;
  readonly #legend = element("span", "hbj-legend");
  readonly #top = element("span", "hbj-chart-top");
  readonly #right = element("span");
  readonly #drawing = svg("svg", {
    class: "hbj-chart-drawing",
    viewBox: `0 0 ${BINS} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });

  readonly #unit: number;

  /** The axis ends at a round number of `unit`. */
  constructor(title: string, format: (value: number) => string, unit = 1) {
    this.#title = title;
    this.#unit = unit;
    this.#format = format;
    const head = element(
      "div",
      "hbj-chart-head",
      {},
      element("span", "hbj-section-title", {}, title),
      this.#legend,
    );
    const axis = element("div", "hbj-chart-axis", {}, element("span", "", {}, "0 s"), this.#right);
    const plot = element("div", "hbj-chart-plot", {}, this.#top);
    plot.append(this.#drawing);
    this.element = element("div", "hbj-chart", {}, head, plot, axis);
  }

  /** Each series has BINS values over `spanMs`. */
  update(series: readonly Series[], spanMs: number): void {
    const largest = series.reduce((most, { values }) => values.reduce((a, b) => Math.max(a, b), most), 0);
    const top = roundTop(largest / this.#unit) * this.#unit;
    this.#drawing.replaceChildren(
      ...series.map(({ form, values, shade = 0 }) =>
        svg("path", { class: `hbj-${form}`, "data-shade": shade, d: path(values, top, form) }),
      ),
    );
    this.#legend.replaceChildren(...series.filter(({ form }) => form !== "layer").map(legendItem));
    setText(this.#top, this.#format(top));
    setText(this.#right, formatTook(spanMs));
    const said = series.map(
      ({ name, values, own }) =>
        `${name} up to ${this.#format(own ?? values.reduce((a, b) => Math.max(a, b), 0))}`,
    );
    setAttribute(
      this.#drawing,
      "aria-label",
      `${this.#title} over ${formatTook(spanMs)}: ${said.join(", ")}`,
    );
  }
}

function legendItem({ name, form }: Series): HTMLElement {
  const sign = element("span", "hbj-legend-sign", { "data-form": form, "aria-hidden": "true" });
  return element("span", "hbj-legend-item", {}, sign, name);
}

/** The sign of a layer, for what stands beside the chart. */
export function layerSign(shade: number): HTMLElement {
  return element("span", "hbj-legend-sign", {
    "data-form": "layer",
    "data-shade": shade,
    "aria-hidden": "true",
  });
}

/** Layers on top of one another, as a chart draws them. */
export function stacked(layers: readonly { name: string; total: number; values: Float64Array }[]): Series[] {
  let below = new Float64Array(BINS);
  const series = layers.map(({ name, total, values }, shade): Series => {
    below = values.map((value, bin) => value + (below[bin] ?? 0));
    return { name, form: "layer", values: below, shade, own: total };
  });
  return series.reverse();
}

function path(values: Float64Array, top: number, form: Series["form"]): string {
  const steps: string[] = [];
  let before: string | null = null;
  values.forEach((value, bin) => {
    const y = (HEIGHT - (HEIGHT * value) / top).toFixed(1);
    if (y !== before) steps.push(before === null ? `M0 ${y}` : `H${bin}V${y}`);
    before = y;
  });
  const line = `${steps.join("")}H${BINS}`;
  return form === "line" ? line : `${line}V${HEIGHT}H0Z`;
}
