/** Gives every notebook a renderer for runs, ranked before the one for widgets in general. */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { IDisposable } from "@lumino/disposable";
import type { SessionContext } from "./kernel";
import { type Renderers, RUN_TYPE, RunOutput } from "./output";

/** The Jupyter widgets' renderer has rank -10; the smallest rank is preferred. */
const RANK = -20;

/** What is used of a notebook in JupyterLab. */
export interface Notebook {
  readonly content: {
    readonly rendermime: Renderers & {
      addFactory(factory: IRenderMime.IRendererFactory, rank: number): void;
    };
  };
  readonly sessionContext: SessionContext;
}

/** What is used of JupyterLab's application. */
export interface Application {
  readonly docRegistry: {
    addWidgetExtension(name: "Notebook", extension: { createNew(notebook: Notebook): void }): IDisposable;
  };
}

let added: IDisposable | null = null;

export const output = {
  id: "hail-batch-jupyter:output",
  description: "Shows saved runs in notebooks whose kernel no longer has their widget.",
  autoStart: true,
  activate: ({ docRegistry }: Application): void => {
    added?.dispose();
    added = docRegistry.addWidgetExtension("Notebook", { createNew: addRenderer });
  },
  deactivate: (): void => {
    added?.dispose();
    added = null;
  },
};

/** Called for each notebook before its outputs are rendered. An untrusted one keeps to the HTML by itself. */
function addRenderer({ content, sessionContext }: Notebook): void {
  const { rendermime } = content;
  const createRenderer = (): RunOutput => new RunOutput(rendermime, sessionContext);
  rendermime.addFactory({ safe: false, mimeTypes: [RUN_TYPE], createRenderer }, RANK);
}
