/** Makes elements. Text is only ever set as text. */

import { GLYPHS, SEGMENTS, type StateName } from "./states";

export type Attributes = Record<string, string | number | boolean>;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

export function svg(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Sets text only when it differs, so that selections and screen readers are left in peace. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target: Element, name: string, value: string): void {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

export function setHidden(target: HTMLElement, hidden: boolean): void {
  if (target.hidden !== hidden) target.hidden = hidden;
}

/** The round sign of a state; `setGlyph` turns it into another. */
export function glyph(state: StateName): SVGElement {
  const made = svg("svg", { class: "hbj-glyph", viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path"));
  setGlyph(made, state);
  return made;
}

export function setGlyph(target: Element, state: StateName): void {
  setAttribute(target, "data-state", state);
  if (target.firstElementChild) setAttribute(target.firstElementChild, "d", GLYPHS[state]);
}

/** A bar of one part for each segment; `setBar` gives the parts their widths. */
export function bar(className: string): HTMLElement {
  const parts = SEGMENTS.map(({ name }) => element("span", "hbj-segment", { "data-segment": name }));
  return element("div", `hbj-bar ${className}`, {}, ...parts);
}

export function setBar(target: HTMLElement, counts: readonly number[]): void {
  counts.forEach((count, index) => {
    const part = target.children[index];
    if (!(part instanceof HTMLElement)) return;
    setHidden(part, count === 0);
    const grow = String(count);
    if (part.style.flexGrow !== grow) part.style.flexGrow = grow;
  });
}

export function button(
  className: string,
  text: string,
  action: () => void,
  signal: AbortSignal,
): HTMLButtonElement {
  const made = element("button", `hbj-button ${className}`, { type: "button" }, text);
  made.addEventListener("click", action, { signal });
  return made;
}
