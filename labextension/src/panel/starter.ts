/** The launcher's tile, which makes a starter notebook, and the dialog of defaults: both through the Jupyter server. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, type ICommandPalette, Notification, showDialog } from "@jupyterlab/apputils";
import type { ILauncher } from "@jupyterlab/launcher";
import type { DefaultSettings } from "../contract";
import { changeDefaults, makeStarter, readDefaults } from "../request";
import { DefaultsForm } from "./defaults";
import { batchesIcon, TILE_URL } from "./icons";

const STARTER = "hail-batch-jupyter:new-starter";
export const DEFAULTS = "hail-batch-jupyter:defaults";

/** Adds both commands, to the palette and the launcher where there are such. */
export function addStarter(
  { commands, serviceManager }: JupyterFrontEnd,
  palette: ICommandPalette | null,
  launcher: ILauncher | null,
  category: string,
): void {
  const settings = serviceManager.serverSettings;
  commands.addCommand(STARTER, {
    label: (args) => (args.isPalette ? "New Batch Notebook" : "Batch Notebook"),
    caption: "Make a notebook that shows how cells become jobs",
    icon: batchesIcon,
    describedBy: { args: { type: "object", properties: { cwd: { type: "string" } } } },
    execute: async (args) => {
      const made = await makeStarter(typeof args.cwd === "string" ? args.cwd : "", settings);
      if (made.ok) await commands.execute("docmanager:open", { path: made.value.path, factory: "Notebook" });
      else Notification.error(made.text, { autoClose: 6000 });
    },
  });
  commands.addCommand(DEFAULTS, {
    label: "Batch Defaults…",
    caption: "The default backend and rate card, as in the configuration file",
    describedBy: { args: null },
    execute: async () => {
      const found = await readDefaults(settings);
      if (found.ok) await ask(found.value, (wanted) => changeDefaults(wanted, settings));
      else Notification.error(found.text, { autoClose: 6000 });
    },
  });
  launcher?.add({ command: STARTER, category: "Notebook", rank: 200, kernelIconUrl: TILE_URL });
  palette?.addItem({ command: STARTER, category, args: { isPalette: true } });
  palette?.addItem({ command: DEFAULTS, category });
}

/** Asks until what was said is valid, or nothing is to be changed. */
async function ask(
  settings: DefaultSettings,
  change: (wanted: Record<string, string>) => ReturnType<typeof changeDefaults>,
): Promise<void> {
  let said: Record<string, string> = {};
  for (let trouble = ""; ; ) {
    const body = new DefaultsForm(settings, said, trouble);
    const buttons = [Dialog.cancelButton(), Dialog.okButton({ label: "Save" })];
    const { button, value } = await showDialog({ title: "Batch Defaults", body, buttons });
    if (!button.accept || !value || Object.keys(value).length === 0) return;
    const answer = await change(value);
    if (answer.ok) return;
    said = value;
    trouble = answer.text;
  }
}
