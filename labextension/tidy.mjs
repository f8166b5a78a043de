/** Takes away what the extension's builder leaves beside the settings' schema: a second copy of package.json. */

import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const schemas = join(root, "hail_batch_jupyter", "labextension", "schemas", "hail-batch-jupyter");

rmSync(join(schemas, "package.json.orig"), { force: true });
