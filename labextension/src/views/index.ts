/** The module of the views beside the graph; the widget loads it when one of them is first opened. */

import type { Run } from "../runs";
import { Columns } from "./columns";
import type { Host, MakeViews, Panel, ViewName } from "./host";
import { JobSheet } from "./job";
import { Resources } from "./resources";
import { JobsTable } from "./table";
import { Timeline } from "./timeline";

const make: MakeViews = (host, run, signal) => {
  const shown: { panel: Panel | null; run: Run } = { panel: null, run };
  const columns = new Columns(host, run, () => shown.panel?.update(shown.run), signal);
  const open = (panel: Panel): Panel => ({
    element: panel.element,
    update(latest) {
      shown.panel = panel;
      shown.run = latest;
      panel.update(latest);
    },
    mark: (job) => panel.mark?.(job),
  });
  return {
    panel: (name) => open(panelOf(name, host, run, columns, signal)),
    job: (job, stop) => new JobSheet(host, job, stop),
  };
};

function panelOf(name: ViewName, host: Host, run: Run, columns: Columns, signal: AbortSignal): Panel {
  switch (name) {
    case "timeline":
      return new Timeline(host, run, columns, signal);
    case "resources":
      return new Resources(run, columns, signal);
    case "jobs":
      return new JobsTable(host, run, columns, signal);
  }
}

export default make;
