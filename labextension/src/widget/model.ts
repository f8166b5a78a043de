/** The part of a notebook host's widget interface that is used here (an "anywidget" front-end module). */

import type { BrowserMessage } from "../contract";

export type CustomListener = (content: unknown, buffers: unknown) => void;

export interface Model {
  /** Traits; a page of the server has none. */
  get?(name: string): unknown;
  set?(name: string, value: unknown): void;
  save_changes?(): void;
  send(content: BrowserMessage): void;
  on(event: string, listener: CustomListener): void;
  off(event: string, listener: CustomListener): void;
}

export type Cleanup = () => void;

export interface FrontEnd {
  initialize(props: { model: Model }): Cleanup;
  render(props: { model: Model; el: HTMLElement }): Cleanup;
}
