/** The service's pages, kept up to date: parts that changed are put in their place, logs grow, and a batch shows its graph. */

import { showGraph } from "./graph";
import { keepFresh } from "./live";
import { followLogs } from "./logs";

const graph = document.getElementById("graph");
if (graph?.dataset.feed) void showGraph(graph, graph.dataset.feed);
const { live } = document.body.dataset;
if (live !== undefined) {
  keepFresh(live);
  followLogs();
}
