import { describe, expect, it } from "vitest";
import { percentOf, sizeText } from "./size";

const KiB = 1024;
const GiB = 1024 ** 3;

describe("sizeText", () => {
  it.each([
    [0, "0 B"],
    [-1, "0 B"],
    [1, "1 B"],
    [999, "999 B"],
    [1000, "1.0 KiB"],
    [1023, "1.0 KiB"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [999.9 * KiB, "999.9 KiB"],
    [999.96 * KiB, "1.0 MiB"],
    [289.3 * GiB, "289.3 GiB"],
    [384 * GiB, "384.0 GiB"],
    [1000 * GiB, "1.0 TiB"],
    [2 ** 50, "1.0 PiB"],
    [2 ** 60, "1.0 EiB"],
    [5000 * 2 ** 60, "5000.0 EiB"],
  ])("writes %d bytes as %s", (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });
});

describe("percentOf", () => {
  it.each([
    [0, 100, 0],
    [80, 100, 80],
    [80.01, 100, 81],
    [100, 100, 100],
    [5, 0, 0],
  ])("of %d in %d is %d", (used, total, percent) => {
    expect(percentOf(used, total)).toBe(percent);
  });
});
