/** What the panel's buttons do in JupyterLab, with its dialogs and notifications. */

import { Clipboard, Dialog, Notification, showDialog } from "@jupyterlab/apputils";
import type { ServerConnection } from "@jupyterlab/services";
import type { CommandRegistry } from "@lumino/commands";
import { OPEN, type RunRow } from "../contract";
import { plural } from "../format";
import { cancelRun, deleteRun, retryRun, type ServerAnswer } from "../request";
import type { Deeds } from "./actions";
import { openAtCell } from "./goto";
import { doneOf, isOfService, notebookName, titleOf } from "./rows";

export function makeDeeds(
  commands: CommandRegistry,
  settings: ServerConnection.ISettings,
  refresh: () => void,
): Deeds {
  const carryOut = async (asked: Promise<ServerAnswer>): Promise<void> => {
    const { ok, text } = await asked;
    if (!ok) Notification.error(text, { autoClose: 6000 });
    refresh();
  };
  return {
    open: (row) => openRow(commands, row),
    notebook: async (row) => {
      const found = await openAtCell(commands, row.notebook_path, row.cell);
      if (row.cell && !found)
        Notification.info(`${notebookName(row)} no longer has the cell that made ${titleOf(row)}`);
    },
    page: (row) => void window.open(row.url, "_blank", "noopener"),
    copy: (row) => Clipboard.copyToSystem(row.run_id),
    cancel: async (row) => {
      const left = `Cancel the ${plural(row.n_jobs - (doneOf(row) ?? 0), "job")} not yet finished?`;
      if (await isSure(`Cancel “${titleOf(row)}”`, left, "Cancel the run", "Keep running"))
        await carryOut(cancelRun(row.run_id, settings));
    },
    retry: async (row) => {
      const again = `Jobs of run ${row.run_id} that failed or were cancelled, and what follows from them, run again as a run of its own.`;
      if (await isSure(`Retry “${titleOf(row)}”`, again, "Retry", "Leave it", Dialog.okButton))
        await carryOut(retryRun(row.run_id, settings));
    },
    remove: async (row) => {
      const lost = isOfService(row)
        ? `Batch ${row.run_id} is taken out of the service, with its logs.`
        : `The logs of run ${row.run_id} and its intermediate files are removed; the next run cannot take results over from it.`;
      if (await isSure(`Delete “${titleOf(row)}”`, lost, "Delete", "Keep"))
        await carryOut(deleteRun(row.run_id, settings));
    },
  };
}

async function isSure(
  title: string,
  body: string,
  yes: string,
  no: string,
  kind = Dialog.warnButton,
): Promise<boolean> {
  const buttons = [Dialog.cancelButton({ label: no }), kind({ label: yes })];
  const { button } = await showDialog({ title, body, buttons });
  return button.accept;
}

/** Opens a run from a notice or a row. */
export function openRow(commands: CommandRegistry, row: RunRow): void {
  void commands.execute(OPEN, { run: row.run_id, name: titleOf(row) });
}
