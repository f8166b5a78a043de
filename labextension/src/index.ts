/** The plugins of the JupyterLab extension. */

import { bridge } from "./bridge/plugin";
import { output } from "./output/plugin";

export default [bridge, output];
