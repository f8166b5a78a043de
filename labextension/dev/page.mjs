/** Shows the built widget on a scripted run, as the address says. */

import makeWidget from "../../hail_batch_jupyter/jupyter/static/widget.js";
import { FakeKernel } from "./kernel.mjs";
import { SCENARIOS } from "./scenarios.mjs";

const asked = new URLSearchParams(location.search);
const theme = asked.get("theme") ?? "light";
if (theme !== "none") document.body.dataset.theme = theme;

const make = SCENARIOS[asked.get("scenario") ?? "quickstart"] ?? SCENARIOS.quickstart;
const graph = make(Number(asked.get("n") ?? 30_000));
const kernel = new FakeKernel(graph, { at: Number(asked.get("at") ?? 0), free: asked.has("free") });

const widget = await makeWidget();
widget.initialize({ model: kernel });
const root = document.getElementById("cell");

/** Milliseconds from the snapshot's arrival to the frame after its painting. */
globalThis.painted = new Promise((resolve) => {
  const watch = new MutationObserver(() => {
    if (!root.querySelector(".hbj-node")) return;
    watch.disconnect();
    const handledMs = performance.now() - globalThis.snapshotMs;
    requestAnimationFrame(() =>
      setTimeout(() => resolve({ handledMs, paintedMs: performance.now() - globalThis.snapshotMs }), 0),
    );
  });
  watch.observe(root, { childList: true, subtree: true });
});

widget.render({ model: kernel, el: root });
globalThis.kernel = kernel;
if (!asked.get("freeze")) setTimeout(() => kernel.play(), 500);
