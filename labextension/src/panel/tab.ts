/** A run in a tab of the main area: the widget's view, fed by the server. */

import { Widget } from "@lumino/widgets";
import { element, setHidden, setText } from "../dom";
import { importText } from "../widget/loader";
import { Session } from "../widget/session";
import { View } from "../widget/view";
import { type Converse, RemoteModel } from "./remote";

export class RunTab extends Widget {
  readonly run: string;
  readonly #message = element("div", "hbj-run-tab-message", { role: "status" }, "Reading the run…");
  readonly #model: RemoteModel;
  readonly #session: Session;
  readonly #view: View;

  constructor(run: string, name: string, converse: Converse) {
    super({ node: element("div", "", { role: "region", "aria-label": `Batch ${name}` }) });
    this.run = run;
    this.addClass("hbj-run-tab");
    this.#model = new RemoteModel(converse, {
      begun: () => this.#showView(true),
      trouble: (text) => this.#setMessage(text),
    });
    this.#session = new Session(this.#model);
    this.#view = new View(this.#session, importText);
    this.node.append(this.#message, this.#view.element);
    this.#showView(false);
  }

  /** Shows the details of a job, as soon as the run is there. */
  openJob(job: number): void {
    this.#view.openJob(job);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.#view.dispose();
    this.#session.close();
    this.#model.dispose();
    super.dispose();
  }

  /** Before the first message the view has nothing to say; it keeps its place, so that it can measure. */
  #showView(shown: boolean): void {
    this.#view.element.style.visibility = shown ? "" : "hidden";
    if (shown) this.#setMessage("");
  }

  #setMessage(text: string): void {
    setText(this.#message, text);
    setHidden(this.#message, !text);
  }
}
