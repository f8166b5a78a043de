/** Fetches the module of the views from the kernel when one is first opened, so that widgets that show the graph alone stay small. */

import { element } from "../dom";
import type { MakeViews } from "../views/host";
import type { Session } from "./session";

export interface Loaded {
  make: MakeViews;
  style: HTMLStyleElement;
}

/** Makes a module of its text; a host's page lets widgets themselves come this way. */
export type Import = (script: BlobPart) => Promise<MakeViews>;

export const importText: Import = async (script) => {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    const module: { default: MakeViews } = await import(/* webpackIgnore: true */ url); // the extension is bundled, the text is not
    return module.default;
  } finally {
    URL.revokeObjectURL(url);
  }
};

/** Asks for the views; `failed` gets a sentence when they cannot be had. */
export function loadViews(
  session: Session,
  importModule: Import,
  loaded: (views: Loaded) => void,
  failed: (text: string) => void,
): () => void {
  return session.ask({ kind: "views" }, (reply, bytes) => {
    if (reply.kind !== "views") {
      failed(reply.kind === "answer" ? reply.text : "The kernel gave another answer than was asked for.");
      return;
    }
    const style = element("style", "", {}, new TextDecoder().decode(bytes.subarray(reply.script)));
    importModule(bytes.slice(0, reply.script)).then(
      (make) => loaded({ make, style }),
      () => failed("This page does not let the view be loaded."),
    );
  });
}
