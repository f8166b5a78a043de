import { describe, expect, test } from "vitest";
import { countSentence, formatBytes, formatDuration, formatTook, plainLog, plural } from "../src/format";

describe("format", () => {
  test.each([
    [0, "0 s"],
    [59_999, "59 s"],
    [65_000, "1 min 05 s"],
    [3_600_000, "1 h 00 min"],
    [90_000_000, "1 d 01 h"],
  ])("%i ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("short times of a job keep a tenth of a second", () => {
    expect(formatTook(49)).toBe("<0.1 s");
    expect(formatTook(50)).toBe("0.1 s");
    expect(formatTook(1250)).toBe("1.3 s");
    expect(formatTook(75_000)).toBe("1 min 15 s");
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1_610_612_736, "1.5 GiB"],
    [209_715_200, "200 MiB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
    if (bytes > 0) expect(formatBytes(-bytes)).toBe(`under ${text}`);
  });

  test("the sentence counts reused jobs as done and names each part of the bar in its order", () => {
    expect(countSentence(Uint32Array.of(5, 4, 1, 1, 9, 1, 0, 0, 3))).toBe(
      "12 of 24 done · 9 succeeded · 3 reused · 1 running · 1 failed · 10 waiting",
    );
  });

  test("success is not named twice when it is all there is; anything else is named", () => {
    expect(countSentence(Uint32Array.of(0, 0, 0, 0, 3, 0, 0, 0, 0))).toBe("3 of 3 done");
    expect(countSentence(Uint32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2))).toBe("2 of 2 done · 2 reused");
  });

  test("numbers are grouped and nouns have their s", () => {
    expect(plural(30_000, "job")).toBe("30,000 jobs");
    expect(plural(1, "job")).toBe("1 job");
  });

  test("a log loses colours, titles and overdrawn lines, and nothing else", () => {
    expect(
      plainLog("\u001b[1;31mred\u001b[0m \u001b]0;title\u0007plain\r\n10 %\r50 %\r100 %\nend [0m]"),
    ).toBe("red plain\n100 %\nend [0m]");
  });
});
