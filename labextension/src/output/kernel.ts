/** Which widgets the kernel of a notebook has. */

import type { Kernel } from "@jupyterlab/services";
import type { ISignal } from "@lumino/signaling";

/** The comm target of all widgets of the Jupyter widget protocol. */
const WIDGET_TARGET = "jupyter.widget";

/** What is used of a notebook's session. */
export interface SessionContext {
  readonly ready: Promise<void>;
  readonly session: {
    readonly kernel: Pick<Kernel.IKernelConnection, "hasComm" | "requestCommInfo"> | null;
  } | null;
  readonly kernelChanged: ISignal<unknown, unknown>;
}

/** Whether this page is connected to the widget already: true as soon as the kernel has announced it. */
export function hasWidget({ session }: SessionContext, modelId: string): boolean {
  return session?.kernel?.hasComm(modelId) ?? false;
}

/** Asks the kernel, which answers between two cells; false when it does not know the widget, or when there is none. */
export async function findWidget(context: SessionContext, modelId: string): Promise<boolean> {
  await context.ready;
  try {
    const reply = await context.session?.kernel?.requestCommInfo({ target_name: WIDGET_TARGET });
    return reply?.content.status === "ok" && modelId in reply.content.comms;
  } catch {
    // The kernel went while it was asked.
    return false;
  }
}
