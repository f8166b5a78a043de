"""Time in headless Chromium to lay out a graph of jobs: by this project, or by a layout library of npm.

Arguments: RESULT LIBRARY SHAPE COUNT FOLDER, where FOLDER has the library's node_modules.
LIBRARY is 'ours' (jobs gathered into stages, as the widget draws them), 'ours-every-job', 'dagre', 'd3-dag' or 'elk'. SHAPE is 'scatter' (one job, three stages
of a third each, one after the other, one job) or 'layered' (25 layers, each job with two random parents in the layer before).
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.jupyter.live.graph import graph_of

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
LIMIT_MS = 150_000
N_LAYERS = 25

OURS = """
import { collapse } from "SRC/dag/collapse.ts";
import { layOut } from "SRC/dag/layout.ts";
import { nodeBox } from "SRC/dag/node.ts";
const measure = (text) => 6.6 * text.length;
globalThis.lay = async (graph) => {
  const given = { ...graph, src: Uint32Array.from(graph.src), dst: Uint32Array.from(graph.dst), stage: Uint16Array.from(graph.stage) };
  const begun = performance.now();
  const drawn = collapse(given, (job) => graph.names[job], MOST);
  layOut(drawn.nodes.map((node) => nodeBox(node, measure)), drawn, 900);
  return { ms: performance.now() - begun, nodes: drawn.nodes.length };
};
"""
EVERY = """
import { layOut } from "SRC/dag/layout.ts";
globalThis.lay = async (graph) => {
  const edges = { src: Uint32Array.from(graph.src), dst: Uint32Array.from(graph.dst) };
  const begun = performance.now();
  layOut(graph.names.map(() => ({ width: 120, height: 30 })), edges, 0);
  return { ms: performance.now() - begun, nodes: graph.n };
};
"""
DAGRE = """
import dagre from "@dagrejs/dagre";
globalThis.lay = async (graph) => {
  const begun = performance.now();
  const made = new dagre.graphlib.Graph();
  made.setGraph({ rankdir: "LR", ranker: "longest-path" });
  made.setDefaultEdgeLabel(() => ({}));
  graph.names.forEach((_, job) => made.setNode(String(job), { width: 120, height: 30 }));
  graph.src.forEach((from, e) => made.setEdge(String(from), String(graph.dst[e])));
  dagre.layout(made);
  return { ms: performance.now() - begun, nodes: graph.n };
};
"""
D3_DAG = """
import { graphStratify, grid } from "d3-dag";
globalThis.lay = async (graph) => {
  const begun = performance.now();
  const parents = graph.names.map(() => []);
  graph.src.forEach((from, e) => parents[graph.dst[e]].push(String(from)));
  const made = graphStratify()(parents.map((parentIds, job) => ({ id: String(job), parentIds })));
  grid()(made);
  return { ms: performance.now() - begun, nodes: graph.n };
};
"""
ELK = """
import ELK from "elkjs/lib/elk.bundled.js";
globalThis.lay = async (graph) => {
  const elk = new ELK();
  const begun = performance.now();
  const children = graph.names.map((_, job) => ({ id: String(job), width: 120, height: 30 }));
  const edges = graph.src.map((from, e) => ({ id: "e" + e, sources: [String(from)], targets: [String(graph.dst[e])] }));
  await elk.layout({ id: "root", layoutOptions: { "elk.algorithm": "layered" }, children, edges });
  return { ms: performance.now() - begun, nodes: graph.n };
};
"""
SOURCES = {"ours": OURS.replace("MOST", "300"), "ours-every-job": EVERY, "dagre": DAGRE, "d3-dag": D3_DAG, "elk": ELK}


def bundled(library: str, folder: Path) -> str:
    """The library and what calls it as one script."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        raise ImportError("esbuild: run 'npm ci' first")
    entry = folder / f"{library}.mjs"
    entry.write_text(SOURCES[library].replace("SRC", str(ROOT / "labextension" / "src")))
    finished = subprocess.run([str(esbuild), str(entry), "--bundle", "--format=iife", "--log-level=error"], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr.strip().splitlines()[0])
    return finished.stdout


def jobs(shape: str, count: int) -> list[tuple[str, list[int]]]:
    """Name and parents, numbered from 0, of each job."""
    if shape == "scatter":
        third = (count - 2) // 3
        stages = [f"{stage}-{part}" for stage in ("trim", "align", "call") for part in range(third)]
        middle = [(name, [max(0, number - third)]) for number, name in enumerate(stages, 1)]
        return [("split", []), *middle, ("gather", list(range(1 + 2 * third, 1 + 3 * third)))]
    chance, width = random.Random(1), count // N_LAYERS
    before = [(job // width - 1) * width for job in range(count)]
    return [(f"layer{job // width}-{job}", [first + chance.randrange(width) for _ in range(2)] if first >= 0 else []) for job, first in enumerate(before)]


def graph_json(shape: str, count: int) -> dict[str, Any]:
    """The graph as the kernel sends it, in lists."""
    specs = []
    for number, (name, parents) in enumerate(jobs(shape, count), 1):
        edges = tuple(Edge(parent + 1) for parent in sorted(set(parents)))
        specs.append(JobSpec(number, name, name, "bash", ("true",), f"job-{number}", parents=edges))
    graph = graph_of(BatchSpec("bench", tuple(specs)))
    stages = [{"name": stage.name, "count": stage.size} for stage in graph.stages]
    lists = {"src": list(graph.sources), "dst": list(graph.targets), "stage": list(graph.stage_of), "names": list(graph.names)}
    return {"n": len(graph.names), "stages": stages, **lists}


def main(result: str, library: str, shape: str, count: int, folder: Path) -> None:
    """One layout in a page of its own, the first call included: that is what a user sees."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise ImportError("chromium is not installed")
    script, graph = bundled(library, folder), graph_json(shape, count)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.add_script_tag(content=script)
        told = page.evaluate("(graph) => lay(graph)", graph)
        browser.close()
    Path(result).write_text(json.dumps({"layout_ms": told["ms"], "nodes": told["nodes"], "jobs": graph["n"]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
