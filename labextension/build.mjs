/** Bundles the widget's two files and those of its views, which are loaded when one is opened, and what their third parties ask to be told. `--watch` keeps on. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "hail_batch_jupyter", "jupyter", "static");

const options = {
  absWorkingDir: here,
  entryPoints: {
    widget: "src/widget/index.ts",
    "widget-style": "src/style/widget.css",
    views: "src/views/index.ts",
    "views-style": "src/style/views.css",
    page: "src/page/index.ts",
  },
  entryNames: "[name]",
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
  metafile: true,
  write: false,
  // A page may have an AMD loader; nothing here is to be registered there.
  define: { define: "undefined" },
  logLevel: "warning",
  plugins: [{ name: "write", setup: (bundler) => bundler.onEnd(writeOutputs) }],
};

/** Writes the files under the names that the Python widget loads. */
function writeOutputs({ outputFiles, metafile, errors }) {
  if (errors.length > 0) return;
  for (const file of outputFiles) {
    writeFileSync(file.path.replace("-style.css", ".css"), file.contents);
  }
  const report = `${JSON.stringify({ packages: thirdParties(metafile) }, null, 2)}\n`;
  writeFileSync(join(out, "third-party-licenses.json"), report);
}

/** Name, version, licence and its text of every npm package in the bundle, in the extension builder's form. */
function thirdParties(metafile) {
  const folders = Object.keys(metafile.inputs).map(
    (path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0],
  );
  return [...new Set(folders)]
    .filter((folder) => folder)
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
      return {
        name,
        versionInfo: version,
        licenseId: license,
        extractedText: licenseText(join(here, folder)),
      };
    });
}

function licenseText(folder) {
  for (const name of ["LICENSE", "LICENSE.md", "LICENSE.txt"]) {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch {}
  }
  return "";
}

mkdirSync(out, { recursive: true });
if (process.argv.includes("--watch")) await (await context(options)).watch();
else await build(options);
