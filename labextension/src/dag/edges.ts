/** The curves between nodes; each shows by its tone whether what it carries is there. */

import { setAttribute, svg } from "../dom";
import type { StateName } from "../states";
import type { Layout } from "./layout";
import type { Edges } from "./ranks";

/** Beyond this many curves they are one path without tones: 20,000 separate ones take a second to draw. */
const MAX_CURVES = 1500;

export class EdgeCurves {
  readonly element: SVGElement;
  readonly #edges: Edges;
  readonly #paths: readonly string[];
  readonly #curves: (SVGElement | undefined)[] = [];

  constructor(edges: Edges, { paths, width, height }: Layout) {
    this.#edges = edges;
    const many = paths.length > MAX_CURVES;
    this.#paths = many ? [] : paths;
    const all = many ? [svg("path", { class: "hbj-edge", d: paths.join("") })] : [];
    const size = { width: Math.ceil(width), height: Math.ceil(height) };
    this.element = svg("svg", { class: "hbj-edges", "aria-hidden": "true", ...size }, ...all);
  }

  /** Makes the curves that begin or end at a node that is there. */
  show(isThere: (node: number) => boolean, states: readonly StateName[]): void {
    this.#paths.forEach((d, e) => {
      if (this.#curves[e] || !(isThere(this.#edges.src[e] ?? 0) || isThere(this.#edges.dst[e] ?? 0))) return;
      this.#curves[e] = svg("path", { class: "hbj-edge", d, "data-flow": this.#flow(e, states) });
      this.element.append(this.#curves[e]);
    });
  }

  paint(states: readonly StateName[]): void {
    this.#curves.forEach((curve, e) => {
      if (curve) setAttribute(curve, "data-flow", this.#flow(e, states));
    });
  }

  #flow(e: number, states: readonly StateName[]): string {
    const [from, to] = [states[this.#edges.src[e] ?? 0], states[this.#edges.dst[e] ?? 0]];
    if (to === "running" || to === "creating") return "active";
    return from === "success" || from === "reused" ? "done" : "waiting";
  }
}
