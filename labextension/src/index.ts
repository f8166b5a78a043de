/** The plugins of the JupyterLab extension. */

import { bridge } from "./bridge/plugin";

export default [bridge];
