/** The widget of notebooks on a page of the service. */

import { element, setText } from "../dom";
import { RemoteModel } from "../panel/remote";
import type { FrontEnd } from "../widget/model";
import { converse } from "./request";

const WIDGET = "/static/widget.js";

/** Shows the graph of a batch in this place. */
export async function showGraph(place: HTMLElement, feed: string): Promise<void> {
  const message = element("p", "muted", {}, "Reading the batch…");
  place.append(message);
  const page = Math.random().toString(36).slice(2);
  const model = new RemoteModel((messages) => converse(feed, page, messages), {
    begun: () => message.remove(),
    trouble: (text) => setText(message, text),
  });
  const address: string = WIDGET; // a file of its own, so that pages without a graph do not load it
  const module: { default: () => FrontEnd } = await import(address);
  module.default().render({ model, el: place });
}
