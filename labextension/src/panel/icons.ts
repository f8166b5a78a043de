/** The signs of the panel: JupyterLab's own, and one for batches. */

import {
  copyIcon,
  deleteIcon,
  LabIcon,
  launchIcon,
  linkIcon,
  notebookIcon,
  redoIcon,
  stopIcon,
} from "@jupyterlab/ui-components";
import type { DeedName } from "./actions";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.8">
    <path d="M8 12h2.5c2 0 1.5-6 4-6H16M10.5 12c2 0 1.5 6 4 6H16M8 12h8"/>
  </g>
  <g class="jp-icon3" fill="#616161">
    <circle cx="5.5" cy="12" r="3"/><circle cx="18.5" cy="6" r="2.6"/><circle cx="18.5" cy="12" r="2.6"/><circle cx="18.5" cy="18" r="2.6"/>
  </g>
</svg>`;

export const batchesIcon = new LabIcon({ name: "hail-batch-jupyter:batches", svgstr: SVG });

const ICONS: Readonly<Record<DeedName, LabIcon>> = {
  open: launchIcon,
  cancel: stopIcon,
  notebook: notebookIcon,
  page: linkIcon,
  copy: copyIcon,
  retry: redoIcon,
  remove: deleteIcon,
};

const TILE = `<svg xmlns="http://www.w3.org/2000/svg" width="52" viewBox="0 0 24 24">
  <g fill="none" stroke="#1976d2" stroke-width="1.5">
    <path d="M8 12h2.5c2 0 1.5-6 4-6H16M10.5 12c2 0 1.5 6 4 6H16M8 12h8"/>
  </g>
  <g fill="#1976d2">
    <circle cx="5.5" cy="12" r="3"/><circle cx="18.5" cy="6" r="2.6"/><circle cx="18.5" cy="12" r="2.6"/><circle cx="18.5" cy="18" r="2.6"/>
  </g>
</svg>`;

/** The picture on the launcher's tile, which among notebooks is an image and no sign. */
export const TILE_URL = `data:image/svg+xml,${encodeURIComponent(TILE)}`;

/** The sign of what a button does. */
export function deedIcon(name: DeedName): HTMLElement {
  return ICONS[name].element({ tag: "span", width: "16px", height: "16px" });
}
