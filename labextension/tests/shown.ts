/** A widget on a fake model, shown in a document whose clock stands still. */

import { vi } from "vitest";
import type { Snapshot } from "../src/contract";
import makeWidget from "../src/widget";
import { FakeModel, type Graph, LINE, snapshot } from "./fixtures";

export class Shown {
  readonly model = new FakeModel();
  private readonly widget = makeWidget();
  private readonly cleanups: (() => void)[] = [];

  constructor() {
    vi.useFakeTimers({ now: 2_000_000 });
    this.cleanups.push(this.widget.initialize({ model: this.model }));
  }

  /** One view, in a cell of its own, before any message. */
  show(): HTMLElement {
    const cell = document.createElement("div");
    document.body.append(cell);
    this.cleanups.unshift(this.widget.render({ model: this.model, el: cell }));
    return cell;
  }

  /** A view after its first snapshot. */
  begin(graph: Graph = LINE, changed: Partial<Snapshot> = {}): HTMLElement {
    const cell = this.show();
    this.deliver(snapshot(graph, changed));
    return cell;
  }

  /** Delivers a message and lets the next frame be drawn. */
  deliver(message: { content: object; buffer?: DataView }): void {
    this.model.deliver(message);
    frame();
  }

  /** Ends the view that was shown last. */
  endLast(): void {
    this.cleanups.shift()?.();
  }

  end(): void {
    for (const cleanup of this.cleanups) cleanup();
    document.body.replaceChildren();
    vi.useRealTimers();
  }
}

/** Lets the next frame be drawn. */
export function frame(): void {
  vi.advanceTimersByTime(50);
}

export function find(inside: Element, selector: string): HTMLElement {
  const found = inside.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`nothing matches ${selector} in ${inside.innerHTML}`);
  return found;
}
