import { describe, expect, test } from "vitest";
import { around, LogText, MAX_BYTES } from "../src/views/logtext";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (log: LogText): string =>
  log.pieces.map(({ bytes }) => new TextDecoder().decode(bytes)).join("");

describe("the loaded part of a log", () => {
  test("begins with a whole line, and grows at both ends", () => {
    const log = new LogText();
    log.take(100, encode("lf a line\nfirst\n"));
    expect([log.start, text(log)]).toEqual([110, "first\n"]);

    log.take(116, encode("second"));
    log.take(122, encode(" line\n"));
    log.take(100, encode("lf a line\n"));
    expect([log.start, log.end, text(log)]).toEqual([100, 128, "lf a line\nfirst\nsecond line\n"]);
  });

  test("gives way to a part that does not touch it", () => {
    const log = new LogText();
    log.take(0, encode("beginning\n"));
    log.take(1000, encode("x\nfar away\n"));

    expect([log.start, text(log)]).toEqual([1002, "far away\n"]);
  });

  test("joins letters of several bytes that were read apart", () => {
    const log = new LogText();
    const bytes = encode("größe\n");
    log.take(0, bytes.slice(0, 3));
    log.take(3, bytes.slice(3));

    expect(text(log)).toBe("größe\n");
  });

  test("lets go what is farthest when it grows too large", () => {
    const log = new LogText();
    const part = new Uint8Array(100_000).fill(65);
    for (let at = 0; at < 30; at++) log.take(at * part.length, part);
    expect(log.loaded).toBeLessThanOrEqual(MAX_BYTES);
    expect(log.end).toBe(3_000_000);

    for (let at = log.start; at > 0; at -= part.length) log.take(at - part.length, part);
    expect(log.start).toBe(0);
    expect(log.loaded).toBeLessThanOrEqual(MAX_BYTES);
  });

  test("finds a text in both directions, across pieces, by bytes", () => {
    const log = new LogText();
    log.take(0, encode(`${"é".repeat(20_000)} nee`));
    log.take(log.end, encode(`dle Needle${" ".repeat(40_000)}`));

    expect(log.find("needle", 0, false)).toBe(40_001);
    expect(log.find("needle", 40_002, false)).toBe(40_008);
    expect(log.find("Needle", 0, false)).toBe(40_008);
    expect(log.find("needle", log.end, true)).toBe(40_008);
    expect(log.find("needle", 40_001, true)).toBeNull();
  });

  test("knows the line around a byte", () => {
    const parts = (at: number): string[] =>
      around({ start: 10, bytes: encode("one\ntwo\nthree") }, at).map((bytes) =>
        new TextDecoder().decode(bytes),
      );

    expect(parts(10)).toEqual(["", "one", "\ntwo\nthree"]);
    expect(parts(15)).toEqual(["one\n", "two", "\nthree"]);
    expect(parts(20)).toEqual(["one\ntwo\n", "three", ""]);
  });
});
