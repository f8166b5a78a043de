/** JupyterLab's side of the widget: cancels, retries and reads runs while their kernel is busy. */

import type { ServiceManager } from "@jupyterlab/services";
import type { CommandRegistry } from "@lumino/commands";
import type { IPlugin } from "@lumino/coreutils";
import { OPEN } from "../contract";
import { askRun, cancelRun, retryRun } from "../request";
import { serveBridge } from "./bridge";

/** What is used of JupyterLab's application. */
export interface Application {
  readonly serviceManager: Pick<ServiceManager.IManager, "serverSettings">;
  readonly commands: Pick<CommandRegistry, "execute" | "hasCommand">;
}

let stop: AbortController | null = null;

export const bridge: IPlugin<Application, void> = {
  id: "hail-batch-jupyter:bridge",
  description:
    "Cancels, retries and reads batch runs through the Jupyter server, also while a cell blocks the kernel.",
  autoStart: true,
  activate: ({ serviceManager, commands }) => {
    const settings = serviceManager.serverSettings;
    stop?.abort();
    stop = new AbortController();
    serveBridge(
      {
        cancel: ({ run, job_ids, group }) => cancelRun(run, settings, { job_ids, group }),
        retry: ({ run, job_ids }) => retryRun(run, settings, job_ids),
        ask: ({ run, question }) => askRun(run, question, settings),
        open: async ({ run }) => {
          if (!commands.hasCommand(OPEN)) return { ok: false, text: "Runs open in tabs of JupyterLab only." };
          void commands.execute(OPEN, { run, name: run });
          return { ok: true, text: "" };
        },
      },
      stop.signal,
    );
  },
  deactivate: () => {
    stop?.abort();
    stop = null;
  },
};
