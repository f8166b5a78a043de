/** The output of a run in a notebook: its live widget while the kernel has it, else the HTML that was saved with it. */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Panel } from "@lumino/widgets";
import { SHOWN_EVENT } from "../contract";
import { findWidget, hasWidget, type SessionContext } from "./kernel";

/** Stands beside the two others in the output's data; the kernel's side of it is in jupyter/live/widget.py. */
export const RUN_TYPE = "application/vnd.hail-batch-jupyter.run+json";
export const WIDGET_TYPE = "application/vnd.jupyter.widget-view+json";
export const STILL_TYPE = "text/html";

/** What is used of a notebook's renderers. */
export interface Renderers {
  getFactory(type: string): unknown;
  createRenderer(type: string): IRenderMime.IRenderer;
}

export class RunOutput extends Panel implements IRenderMime.IRenderer {
  readonly #renderers: Renderers;
  readonly #context: SessionContext;
  #model: IRenderMime.IMimeModel | null = null;
  /** The widget that is shown, "" while it is the HTML. */
  #liveId = "";

  constructor(renderers: Renderers, context: SessionContext) {
    super();
    this.#renderers = renderers;
    this.#context = context;
    context.kernelChanged.connect(this.#onKernel, this);
    window.dispatchEvent(new Event(SHOWN_EVENT));
  }

  override dispose(): void {
    this.#context.kernelChanged.disconnect(this.#onKernel, this);
    super.dispose();
  }

  /** Called again when the output is brought up to date; a live widget needs nothing then. */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    const id = widgetId(model);
    if (id && id === this.#liveId) return;
    if (id && hasWidget(this.#context, id)) {
      await this.#showLive(model, id);
      return;
    }
    await this.#showStill(model);
    const found = id !== "" && (await findWidget(this.#context, id));
    const asked = this.#model === model && !this.isDisposed && this.#liveId !== id;
    if (found && asked && this.#renderers.getFactory(WIDGET_TYPE)) await this.#showLive(model, id);
  }

  #onKernel(): void {
    if (this.#model && !this.#liveId) void this.renderModel(this.#model);
  }

  async #showLive(model: IRenderMime.IMimeModel, id: string): Promise<void> {
    this.#liveId = id;
    await this.#put(WIDGET_TYPE, model);
  }

  async #showStill(model: IRenderMime.IMimeModel): Promise<void> {
    this.#liveId = "";
    await this.#put(STILL_TYPE, model);
  }

  async #put(type: string, model: IRenderMime.IMimeModel): Promise<void> {
    for (const old of [...this.widgets]) old.dispose();
    const renderer = this.#renderers.createRenderer(type);
    this.addWidget(renderer);
    await renderer.renderModel(copyOf(model));
  }
}

/** The widgets' renderer writes into the data when a view closes; the notebook's own data are to stay as they are. */
function copyOf(model: IRenderMime.IMimeModel): IRenderMime.IMimeModel {
  const { metadata, trusted } = model;
  const view = model.data[WIDGET_TYPE];
  const data = { ...model.data, [WIDGET_TYPE]: typeof view === "object" ? { ...view } : view };
  return { data, metadata, trusted, setData: (options) => model.setData(options) };
}

function widgetId({ data }: IRenderMime.IMimeModel): string {
  const view: unknown = data[WIDGET_TYPE];
  if (typeof view !== "object" || view === null || !("model_id" in view)) return "";
  return typeof view.model_id === "string" ? view.model_id : "";
}
