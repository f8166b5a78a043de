/** Removes what the builds made. */

import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
for (const made of [
  "labextension/lib",
  "hail_batch_jupyter/labextension",
  "hail_batch_jupyter/jupyter/static",
]) {
  rmSync(join(root, made), { recursive: true, force: true });
}
