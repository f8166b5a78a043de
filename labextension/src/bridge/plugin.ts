/** JupyterLab's side of the widget: cancels runs while their kernel is busy. */

import type { ServiceManager } from "@jupyterlab/services";
import type { IPlugin } from "@lumino/coreutils";
import { cancelRun } from "../request";
import { serveBridge } from "./bridge";

/** What is used of JupyterLab's application. */
export interface Application {
  readonly serviceManager: Pick<ServiceManager.IManager, "serverSettings">;
}

let stop: AbortController | null = null;

export const bridge: IPlugin<Application, void> = {
  id: "hail-batch-jupyter:bridge",
  description: "Cancels batch runs through the Jupyter server, also while a cell blocks the kernel.",
  autoStart: true,
  activate: ({ serviceManager }) => {
    stop?.abort();
    stop = new AbortController();
    serveBridge((run) => cancelRun(run, serviceManager.serverSettings), stop.signal);
  },
  deactivate: () => {
    stop?.abort();
    stop = null;
  },
};
