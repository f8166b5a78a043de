/** How wide a label will be, in the font that nodes have on this page. */

import type { Measure } from "../dag/node";

/** Width of an average letter at 12 px where there is no canvas to measure with. */
const LETTER_PX = 6.6;

export function textMeasure(root: HTMLElement): Measure {
  let context: CanvasRenderingContext2D | null | undefined;
  const known = new Map<string, number>();
  const width = (text: string): number => {
    if (context === undefined) {
      context = document.createElement("canvas").getContext("2d");
      if (context) context.font = `500 12px ${getComputedStyle(root).fontFamily || "sans-serif"}`;
    }
    return context ? context.measureText(text).width : LETTER_PX * text.length;
  };
  return (text) => {
    if (!known.has(text)) known.set(text, width(text));
    return known.get(text) ?? 0;
  };
}
