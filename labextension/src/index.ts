/** The plugins of the JupyterLab extension. */

import { bridge } from "./bridge/plugin";
import { output } from "./output/plugin";
import { panel } from "./panel/plugin";

export default [bridge, output, panel];
