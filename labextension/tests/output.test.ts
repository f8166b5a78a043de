import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Signal } from "@lumino/signaling";
import { Widget } from "@lumino/widgets";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionContext } from "../src/output/kernel";
import { RUN_TYPE, RunOutput, STILL_TYPE, WIDGET_TYPE } from "../src/output/output";
import { output as plugin } from "../src/output/plugin";
import { LONG_MS } from "./fixtures";

/** A notebook's session: the widgets of its kernel, and those of them that this page knows. */
class FakeSession implements SessionContext {
  readonly ready = Promise.resolve();
  readonly known = new Set<string>();
  readonly existing = new Set<string>();
  readonly kernelChanged = new Signal<unknown, unknown>(this);
  kernel: NonNullable<SessionContext["session"]>["kernel"] = {
    hasComm: (id) => this.known.has(id),
    requestCommInfo: async () => {
      const comms = Object.fromEntries([...this.existing].map((id) => [id, { target_name: "" }]));
      return { content: { status: "ok", comms } } as never;
    },
  };

  get session(): SessionContext["session"] {
    return { kernel: this.kernel };
  }
}

class FakeRenderer extends Widget implements IRenderMime.IRenderer {
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const view = model.data[WIDGET_TYPE];
    this.disposed.connect(() => typeof view === "object" && view && Object.assign(view, { model_id: "" }));
    this.node.textContent = String(model.data[this.node.title]);
  }
}

class FakeRenderers {
  readonly made: string[] = [];
  readonly types: string[] = [STILL_TYPE, WIDGET_TYPE];
  readonly addFactory = vi.fn<(factory: IRenderMime.IRendererFactory, rank: number) => void>();

  getFactory(type: string): unknown {
    return this.types.find((known) => known === type);
  }

  createRenderer(type: string): IRenderMime.IRenderer {
    this.made.push(type);
    const made = new FakeRenderer();
    made.node.title = type;
    return made;
  }
}

function saved(html = "2 of 2 jobs done", id = "w1"): IRenderMime.IMimeModel {
  const data = { [RUN_TYPE]: {}, [WIDGET_TYPE]: { model_id: id }, [STILL_TYPE]: html };
  return { data, metadata: {}, trusted: true, setData: () => {} };
}

let session: FakeSession;
let renderers: FakeRenderers;
let output: RunOutput;

beforeEach(() => {
  session = new FakeSession();
  renderers = new FakeRenderers();
  output = new RunOutput(renderers, session);
});

const shown = (): string[] => output.widgets.map((widget) => widget.node.title);

describe("the output of a run", () => {
  test("is the saved HTML when the kernel has no such widget", async () => {
    await output.renderModel(saved());

    expect(shown()).toEqual([STILL_TYPE]);
    expect(output.node.textContent).toBe("2 of 2 jobs done");
    expect(renderers.made).toEqual([STILL_TYPE]);
  });

  test("is the saved HTML without a kernel, until there is one that has the widget", async () => {
    const { kernel } = session;
    session.kernel = null;
    await output.renderModel(saved());
    expect(shown()).toEqual([STILL_TYPE]);

    session.kernel = kernel;
    session.existing.add("w1");
    session.kernelChanged.emit(null);

    await vi.waitFor(() => expect(shown()).toEqual([WIDGET_TYPE]), LONG_MS);
  });

  test("is the live widget at once when the page knows it, and stays it when the output is brought up to date", async () => {
    session.known.add("w1");
    await output.renderModel(saved());
    const [live] = output.widgets;

    await output.renderModel(saved("later"));

    expect(output.widgets).toEqual([live]);
    expect(renderers.made).toEqual([WIDGET_TYPE]);
  });

  test("becomes the live widget when the kernel says that it has it, as after a reload", async () => {
    session.existing.add("w1");
    await output.renderModel(saved());

    expect(renderers.made).toEqual([STILL_TYPE, WIDGET_TYPE]);
    expect(shown()).toEqual([WIDGET_TYPE]);
  });

  test("stays the saved HTML when the kernel goes while it is asked, or when no extension shows widgets", async () => {
    session.kernel = { hasComm: () => false, requestCommInfo: () => Promise.reject(new Error("dead")) };
    await output.renderModel(saved());
    expect(shown()).toEqual([STILL_TYPE]);

    session = new FakeSession();
    session.existing.add("w1");
    renderers.types.pop();
    output = new RunOutput(renderers, session);
    await output.renderModel(saved());

    expect(shown()).toEqual([STILL_TYPE]);
  });

  test("leaves the notebook's data as they are when its view closes", async () => {
    const model = saved();
    session.known.add("w1");
    await output.renderModel(model);
    output.dispose();

    expect(model.data[WIDGET_TYPE]).toEqual({ model_id: "w1" });
  });

  test("asks no more once it is closed", async () => {
    session.kernel = null;
    await output.renderModel(saved());
    output.dispose();
    session.kernelChanged.emit(null);

    expect(renderers.made).toEqual([STILL_TYPE]);
  });
});

test("each notebook's renderers prefer a run to a widget, but only when the notebook is trusted", () => {
  let extension: { createNew(notebook: unknown): void } | null = null;
  const dispose = vi.fn();
  const addWidgetExtension = (_: string, added: typeof extension) => {
    extension = added;
    return { dispose, isDisposed: false };
  };
  plugin.activate({ docRegistry: { addWidgetExtension } } as never);
  (extension as never as { createNew(notebook: unknown): void }).createNew({
    content: { rendermime: renderers },
    sessionContext: session,
  });

  const [factory, rank] = renderers.addFactory.mock.calls[0] ?? [];
  expect(factory).toMatchObject({ safe: false, mimeTypes: [RUN_TYPE] });
  expect(rank).toBeLessThan(-10);
  plugin.deactivate();
  expect(dispose).toHaveBeenCalledOnce();
});
