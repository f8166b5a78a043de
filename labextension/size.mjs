/** Fails when the widget is heavier than its budget: each shown widget carries the text of its module. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 60_000;
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "hail_batch_jupyter", "jupyter", "static");
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

let total = 0;
for (const name of ["widget.js", "widget.css"]) {
  const bytes = readFileSync(join(folder, name));
  total += bytes.length;
  process.stdout.write(`${name}: ${kB(bytes.length)} minified, ${kB(gzipSync(bytes).length)} compressed\n`);
}
process.stdout.write(`together: ${kB(total)} of ${kB(LIMIT_BYTES)}\n`);
if (total > LIMIT_BYTES) {
  process.stderr.write("The widget is over its budget: leave something out of labextension/src/widget.\n");
  process.exit(1);
}
