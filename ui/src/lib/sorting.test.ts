import { describe, expect, it } from "vitest";
import { compareNumber, compareText, formatSort, parseSort } from "./sorting";

const COLUMNS = ["name", "memory"];
const FALLBACK = { id: "name", desc: false };

describe("the sort in the address", () => {
  it.each([
    [null, FALLBACK],
    ["memory", { id: "memory", desc: false }],
    ["-memory", { id: "memory", desc: true }],
    ["-name", { id: "name", desc: true }],
    ["nonsense", FALLBACK],
    ["--memory", FALLBACK],
    ["", FALLBACK],
  ])("reads %j", (text, sort) => {
    expect(parseSort(text, COLUMNS, FALLBACK)).toEqual(sort);
  });

  it("comes back as it went, and leaves out the usual one", () => {
    for (const sort of [
      { id: "memory", desc: true },
      { id: "memory", desc: false },
      { id: "name", desc: true },
    ]) {
      expect(parseSort(formatSort(sort, FALLBACK), COLUMNS, FALLBACK)).toEqual(sort);
    }
    expect(formatSort(FALLBACK, FALLBACK)).toBeNull();
  });
});

describe("orders", () => {
  it("puts edge-2 before edge-10 and ignores case", () => {
    expect(["edge-10", "Edge-2", "alpha"].sort(compareText)).toEqual(["alpha", "Edge-2", "edge-10"]);
  });

  it("puts the unknown before every number", () => {
    expect([5, null, 0].sort(compareNumber)).toEqual([null, 0, 5]);
  });
});
