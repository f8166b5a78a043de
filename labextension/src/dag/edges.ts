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
  readonly #curves: SVGElement[];

  constructor(edges: Edges, layout: Layout) {
    this.#edges = edges;
    const many = layout.paths.length > MAX_CURVES;
    const paths = many ? [layout.paths.join("")] : layout.paths;
    const made = paths.map((d) => svg("path", { class: "hbj-edge", d }));
    this.#curves = many ? [] : made;
    const size = { width: Math.ceil(layout.width), height: Math.ceil(layout.height) };
    this.element = svg("svg", { class: "hbj-edges", "aria-hidden": "true", ...size }, ...made);
  }

  paint(stateOf: (node: number) => StateName): void {
    this.#curves.forEach((curve, e) => {
      setAttribute(
        curve,
        "data-flow",
        flow(stateOf(this.#edges.src[e] ?? 0), stateOf(this.#edges.dst[e] ?? 0)),
      );
    });
  }
}

function flow(from: StateName, to: StateName): string {
  if (to === "running" || to === "creating") return "active";
  return from === "success" || from === "reused" ? "done" : "waiting";
}
