/** Rebuilds the widget and the JupyterLab extension as their sources change, until interrupted. */

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const node = (...parts) => spawn(process.execPath, parts, { cwd: root, stdio: "inherit" });

const children = [
  node("labextension/build.mjs", "--watch"),
  node("node_modules/typescript/bin/tsc", "-p", "tsconfig.lib.json", "--watch", "--preserveWatchOutput"),
  node(
    "node_modules/@jupyter/builder/lib/build-labextension.js",
    "--development",
    "--watch",
    "--core-package-file",
    "node_modules/@jupyterlab/core-meta/core.package.json",
    ".",
  ),
];

const stop = () => {
  for (const child of children) child.kill();
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
