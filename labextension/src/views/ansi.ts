/** Text with the colours of a terminal as elements; everything else that steers a terminal is left out. */

import { element } from "../dom";
import { plainLog } from "../format";

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is read
const COLOURS = /\x1b\[([0-9;]*)m/;

interface Style {
  /** 1 to 6: red, green, yellow, blue, magenta, cyan; 0 for none, as for black and white. */
  colour: number;
  bold: boolean;
}

/** What a terminal would show of the text. */
export function paint(text: string): (Node | string)[] {
  const drawn = text.includes("\r") ? redrawn(text) : text;
  if (!drawn.includes("\x1b")) return [drawn];
  const style: Style = { colour: 0, bold: false };
  return drawn.split(COLOURS).flatMap((part, index): (Node | string)[] => {
    if (index % 2 === 1) {
      for (const code of part.split(";")) apply(style, Number(code));
      return [];
    }
    const plain = plainLog(part);
    if (!plain) return [];
    if (!style.colour && !style.bold) return [plain];
    return [element("span", "hbj-ansi", attributes(style), plain)];
  });
}

/** A line that was drawn again after a carriage return has its last drawing. */
function redrawn(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(/[^\n]*\r(?=[^\n])/g, "")
    .replace(/\r/g, "");
}

function attributes({ colour, bold }: Style): Record<string, string> {
  return { ...(colour ? { "data-colour": String(colour) } : {}), ...(bold ? { "data-bold": "" } : {}) };
}

function apply(style: Style, code: number): void {
  if (code === 0) {
    style.colour = 0;
    style.bold = false;
  } else if (code === 1) style.bold = true;
  else if (code === 22) style.bold = false;
  else if (code === 39) style.colour = 0;
  else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.colour = (code % 10) % 7;
}
