/** Opens the notebook of a run at the cell that made it. */

import type { CommandRegistry } from "@lumino/commands";

/** What is used of an open notebook. */
interface OpenNotebook {
  readonly context: { readonly ready: Promise<void> };
  readonly revealed: Promise<void>;
  readonly content: {
    readonly widgets: readonly { readonly model: { readonly id: string } }[];
    activeCellIndex: number;
    scrollToItem(index: number, align: "center"): Promise<void>;
  };
}

/** Opens the notebook at a path of the server, and selects the cell of that id; gives whether it is there. "" is no cell. */
export async function openAtCell(commands: CommandRegistry, path: string, cell: string): Promise<boolean> {
  const opened: unknown = await commands.execute("docmanager:open", { path });
  if (!cell || !isNotebook(opened)) return false;
  await opened.context.ready;
  await opened.revealed;
  const { content } = opened;
  const index = content.widgets.findIndex(({ model }) => model.id === cell);
  if (index < 0) return false;
  content.activeCellIndex = index;
  await content.scrollToItem(index, "center");
  return true;
}

function isNotebook(opened: unknown): opened is OpenNotebook {
  if (typeof opened !== "object" || opened === null || !("content" in opened)) return false;
  const { content } = opened;
  return typeof content === "object" && content !== null && "activeCellIndex" in content;
}
