/** The part of a log that is loaded, as pieces of bytes one after another. No DOM. */

/** One stretch of a log; `start` is its first byte in the whole. */
export interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Loaded at most; what is farthest from where the user reads is let go. */
export const MAX_BYTES = 2_000_000;

/** New bytes at the end join the last piece up to this. */
const JOIN_BYTES = 32_000;

const NEWLINE = 10;
const CAPITALS = /[A-Z]+/g;

export class LogText {
  /** Of the whole log, as last heard. */
  size = 0;
  #list: Piece[] = [];

  get pieces(): readonly Piece[] {
    return this.#list;
  }

  get start(): number {
    return this.#list[0]?.start ?? 0;
  }

  get end(): number {
    const last = this.#list.at(-1);
    return last ? last.start + last.bytes.length : 0;
  }

  get loaded(): number {
    return this.end - this.start;
  }

  /** Takes what was read: joins it to what is there, or stands in its place where it does not touch it. */
  take(start: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#list.length > 0 && start === this.end) this.#append(bytes);
    else if (this.#list.length > 0 && start + bytes.length === this.start) this.#prepend(start, bytes);
    else this.#list = [fromLine(start, bytes)];
  }

  clear(): void {
    this.#list = [];
    this.size = 0;
  }

  /** The byte where `text` begins next from `from` on, or last before it, in what is loaded; null if it does not. */
  find(text: string, from: number, back: boolean): number | null {
    const wanted = letters(new TextEncoder().encode(text));
    const folds = wanted === fold(wanted);
    const all = this.#list.map(({ bytes }) => letters(bytes)).join("");
    const within = folds ? fold(all) : all;
    const at = from - this.start;
    const found = back
      ? at > 0
        ? within.lastIndexOf(wanted, at - 1)
        : -1
      : within.indexOf(wanted, Math.max(0, at));
    return found < 0 ? null : this.start + found;
  }

  #append(bytes: Uint8Array): void {
    const last = this.#list.at(-1);
    if (last && last.bytes.length + bytes.length <= JOIN_BYTES) {
      this.#list[this.#list.length - 1] = { start: last.start, bytes: joined(last.bytes, bytes) };
    } else this.#list.push({ start: this.end, bytes });
    while (this.#list.length > 1 && this.loaded > MAX_BYTES) this.#list.shift();
  }

  #prepend(start: number, bytes: Uint8Array): void {
    this.#list.unshift(fromLine(start, bytes));
    while (this.#list.length > 1 && this.loaded > MAX_BYTES) this.#list.pop();
  }
}

/** Begins with a whole line, where the piece has one. */
function fromLine(start: number, bytes: Uint8Array): Piece {
  const cut = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
  return cut > 0 && cut < bytes.length
    ? { start: start + cut, bytes: bytes.subarray(cut) }
    : { start, bytes };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** A letter for each byte. */
function letters(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192)
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return parts.join("");
}

/** As the kernel folds: the letters of ASCII only. */
function fold(text: string): string {
  return text.replace(CAPITALS, (found) => found.toLowerCase());
}

/** The line around a byte of a piece: what stands before it, the line, what follows. */
export function around({ start, bytes }: Piece, at: number): [Uint8Array, Uint8Array, Uint8Array] {
  const index = at - start;
  const first = index === 0 ? 0 : bytes.lastIndexOf(NEWLINE, index - 1) + 1;
  const next = bytes.indexOf(NEWLINE, index);
  const end = next < 0 ? bytes.length : next;
  return [bytes.subarray(0, first), bytes.subarray(first, end), bytes.subarray(end)];
}
