/** The widget's front-end module: one session for each model, one view for each place it is shown. */

import { importText } from "./loader";
import type { FrontEnd } from "./model";
import { Session } from "./session";
import { View } from "./view";

/** A function, because hosts hand `initialize` and `render` different wrappers of one model. */
export default (importModule = importText): FrontEnd => {
  let session: Session | null = null;
  return {
    initialize({ model }) {
      session = new Session(model);
      return () => session?.close();
    },
    render({ model, el }) {
      session ??= new Session(model);
      const view = new View(session, importModule, model);
      el.append(view.element);
      return () => view.dispose();
    },
  };
};
