/** Fails when the widget is heavier than its budgets: each shown widget carries the text of its module; the views are loaded when one is opened. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const WIDGET_LIMIT_BYTES = 60_000;
const ALL_LIMIT_BYTES = 120_000;
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "hail_batch_jupyter", "jupyter", "static");
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

/** Bytes of the files; says those of each. */
function weigh(...names) {
  const files = names.map((name) => readFileSync(join(folder, name)));
  names.forEach((name, index) => {
    const compressed = gzipSync(files[index]).length;
    process.stdout.write(`${name}: ${kB(files[index].length)} minified, ${kB(compressed)} compressed\n`);
  });
  return files.reduce((sum, file) => sum + file.length, 0);
}

function check(what, bytes, limitBytes, remedy) {
  process.stdout.write(`${what}: ${kB(bytes)} of ${kB(limitBytes)}\n`);
  if (bytes <= limitBytes) return;
  process.stderr.write(`${what}: over the budget; ${remedy}.\n`);
  process.exitCode = 1;
}

const widget = weigh("widget.js", "widget.css");
const views = weigh("views.js", "views.css");
check("graph and progress", widget, WIDGET_LIMIT_BYTES, "leave something out of labextension/src/widget");
check("all views together", widget + views, ALL_LIMIT_BYTES, "leave something out of labextension/src/views");
