/** JupyterLab's side of the panel: the side bar, tabs, the status bar, notifications, commands and settings. */

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from "@jupyterlab/application";
import { ICommandPalette, MainAreaWidget, Notification, WidgetTracker } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { type LabIcon, refreshIcon, settingsIcon } from "@jupyterlab/ui-components";
import { OPEN, SHOWN_EVENT } from "../contract";
import { converse, listBatches, listRuns } from "../request";
import { makeDeeds, openRow } from "./deeds";
import { batchesIcon, deedIcon } from "./icons";
import { type Notice, noticesOf } from "./notices";
import { RunsPanel } from "./panel";
import { Runs } from "./runs";
import { ServicePages, Sources } from "./sources";
import { addStarter, DEFAULTS } from "./starter";
import { RunsStatus } from "./status";
import { RunTab } from "./tab";

const ID = "hail-batch-jupyter:panel";
const PANEL = "hail-batch-jupyter-panel";
const SHOW = "hail-batch-jupyter:show-panel";
const REFRESH = "hail-batch-jupyter:refresh-panel";
const CATEGORY = "Batches";
const RANK = 150;

/** What the user may set; the schema has the same defaults. */
interface Chosen {
  notifications: boolean;
  notifyAfterSeconds: number;
}

export const panel: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Lists the batches of every notebook, and opens, cancels and deletes them without a kernel.",
  autoStart: true,
  optional: [ILayoutRestorer, ICommandPalette, IStatusBar, ISettingRegistry, ILauncher, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    registry: ISettingRegistry | null,
    launcher: ILauncher | null,
    labShell: ILabShell | null,
  ) => {
    const { commands, shell, serviceManager } = app;
    const settings = serviceManager.serverSettings;
    const isSeen = (): boolean => view.isVisible && document.visibilityState === "visible";
    const pages = new ServicePages((before) => listBatches(before, settings));
    const runs = new Sources(
      new Runs(() => listRuns(settings), isSeen),
      new Runs(() => pages.read(), isSeen),
      pages,
    );
    const deeds = makeDeeds(commands, settings, () => void runs.refresh());
    const view: RunsPanel = new RunsPanel(runs, deeds, deedIcon, [
      { label: "Batch defaults", icon: icon(settingsIcon), press: () => void commands.execute(DEFAULTS) },
      { label: "Refresh the list of batches", icon: icon(refreshIcon), press: () => void runs.refresh() },
    ]);
    view.id = PANEL;
    view.title.icon = batchesIcon;
    view.title.caption = "Batches";
    shell.add(view, "left", { rank: RANK, type: CATEGORY });
    restorer?.add(view, PANEL);

    addTabs(app, restorer, labShell ? "main" : "down");
    addCommands(app, palette, runs);
    addStarter(app, palette, launcher, CATEGORY);
    if (statusBar) addStatus(app, statusBar, runs, isSeen);
    const chosen: Chosen = { notifications: true, notifyAfterSeconds: 10 };
    if (registry) void followSettings(registry, runs, chosen);
    runs.subscribe((ended) => {
      if (chosen.notifications) notify(app, noticesOf(ended, 1000 * chosen.notifyAfterSeconds));
    });
    lookWhenNeeded(app, runs);
  },
};

function icon(sign: LabIcon): HTMLElement {
  return sign.element({ tag: "span", width: "16px", height: "16px" });
}

function notify({ commands }: JupyterFrontEnd, notices: readonly Notice[]): void {
  for (const { text, kind, row } of notices) {
    const action = row
      ? { label: "Open", callback: () => openRow(commands, row) }
      : { label: "Show", callback: () => void commands.execute(SHOW) };
    Notification.emit(text, kind, { autoClose: kind === "error" ? false : 8000, actions: [action] });
  }
}

/** The first look, and one whenever a run is shown in a notebook or the page comes back into sight. */
function lookWhenNeeded(app: JupyterFrontEnd, runs: Sources): void {
  const look = (): void => void runs.refresh();
  void app.restored.then(look);
  window.addEventListener(SHOWN_EVENT, look);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
}

/** A tab for each run; Notebook 7 has room for one document only, so there it is below that. */
function addTabs(
  { commands, shell, serviceManager }: JupyterFrontEnd,
  restorer: ILayoutRestorer | null,
  area: "main" | "down",
): void {
  const tracker = new WidgetTracker<MainAreaWidget<RunTab>>({ namespace: PANEL });
  const tabOf = (run: string, name: string): MainAreaWidget<RunTab> => {
    const page = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    const content = new RunTab(run, name, (messages) =>
      converse(run, page, messages, serviceManager.serverSettings),
    );
    const made = new MainAreaWidget({ content });
    made.toolbar.hide();
    content.toggleClass("hbj-run-below", area === "down");
    made.id = `hail-batch-jupyter-run-${run}`;
    Object.assign(made.title, { label: name, caption: run, icon: batchesIcon, closable: true });
    return made;
  };
  commands.addCommand(OPEN, {
    label: (args) => `Open Batch ${String(args.name ?? args.run ?? "")}`.trim(),
    describedBy: {
      args: {
        type: "object",
        properties: { run: { type: "string" }, name: { type: "string" }, job: { type: "integer" } },
      },
    },
    isEnabled: (args) => typeof args.run === "string",
    execute: (args) => {
      const run = String(args.run);
      let tab = tracker.find((open) => open.content.run === run);
      if (!tab) {
        tab = tabOf(run, String(args.name ?? run));
        void tracker.add(tab);
        shell.add(tab, area);
      }
      shell.activateById(tab.id);
      if (typeof args.job === "number") tab.content.openJob(args.job);
    },
  });
  void restorer?.restore(tracker, {
    command: OPEN,
    args: ({ content, title }) => ({ run: content.run, name: title.label }),
    name: ({ content }) => content.run,
  });
}

function addCommands(
  { commands, shell }: JupyterFrontEnd,
  palette: ICommandPalette | null,
  runs: Sources,
): void {
  commands.addCommand(SHOW, {
    label: "Show Batches",
    caption: "Show the batches of every notebook",
    icon: batchesIcon,
    describedBy: { args: null },
    execute: () => shell.activateById(PANEL),
  });
  commands.addCommand(REFRESH, {
    label: "Refresh Batches",
    describedBy: { args: null },
    execute: () => runs.refresh(),
  });
  for (const command of [SHOW, REFRESH]) palette?.addItem({ command, category: CATEGORY });
}

function addStatus(
  { commands }: JupyterFrontEnd,
  bar: IStatusBar,
  runs: Sources,
  isSeen: () => boolean,
): void {
  const item = new RunsStatus(runs, isSeen, () => void commands.execute(SHOW));
  bar.registerStatusItem("hail-batch-jupyter:status", { item, align: "left", rank: 20 });
}

async function followSettings(registry: ISettingRegistry, runs: Sources, chosen: Chosen): Promise<void> {
  const settings = await registry.load(ID);
  const take = (): void => {
    const { pollSeconds, notifications, notifyAfterSeconds } = settings.composite;
    if (typeof pollSeconds === "number") runs.setPoll(pollSeconds);
    if (typeof notifications === "boolean") chosen.notifications = notifications;
    if (typeof notifyAfterSeconds === "number") chosen.notifyAfterSeconds = notifyAfterSeconds;
  };
  settings.changed.connect(take);
  take();
}
