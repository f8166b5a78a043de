/** Opens the notebook of a run at the cell that made it. */

import type { CommandRegistry } from "@lumino/commands";

/** What is used of an open notebook. */
interface OpenNotebook {
  readonly context: { readonly ready: Promise<void> };
  readonly revealed: Promise<void>;
  readonly content: {
    readonly node: HTMLElement;
    readonly widgets: readonly { readonly model: { readonly id: string }; readonly node: HTMLElement }[];
    activeCellIndex: number;
    scrollToItem(index: number, align: "center"): Promise<void>;
  };
}

/** The notebook draws its cells one after the other while it has time, a long one for a minute: the cell comes late, and is moved by those above. */
const PAUSE_MS = 100;
const TRIES = 600;
/** It has come to rest when it was in sight so often. */
const RESTS = 5;
const HANDS = ["wheel", "pointerdown", "keydown"] as const;

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
  void content.scrollToItem(index, "center").catch(() => undefined); // where only what is in sight is drawn at all
  void keepInSight(content, content.widgets[index]);
  return true;
}

/** Scrolls to a cell until it stays in sight, or until the user takes over. */
async function keepInSight(
  { node }: OpenNotebook["content"],
  cell: OpenNotebook["content"]["widgets"][number],
): Promise<void> {
  const taken = new AbortController();
  for (const kind of HANDS)
    node.addEventListener(kind, () => taken.abort(), { signal: taken.signal, passive: true });
  for (let tries = 0, rests = 0; tries < TRIES && rests < RESTS && !taken.signal.aborted; tries++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    rests = isInSight(cell.node, node) ? rests + 1 : 0;
    if (!rests) cell.node.scrollIntoView({ block: "center" });
  }
  taken.abort();
}

function isInSight(cell: HTMLElement, notebook: HTMLElement): boolean {
  const inner = cell.getBoundingClientRect();
  const outer = notebook.getBoundingClientRect();
  return inner.height > 0 && inner.top >= outer.top && inner.top < outer.bottom;
}

function isNotebook(opened: unknown): opened is OpenNotebook {
  if (typeof opened !== "object" || opened === null || !("content" in opened)) return false;
  const { content } = opened;
  return typeof content === "object" && content !== null && "activeCellIndex" in content;
}
