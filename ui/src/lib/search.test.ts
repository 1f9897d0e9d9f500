import { describe, expect, it } from "vitest";
import { fold, matches, searchWords } from "./search";

const found = (text: string, query: string) => matches(fold(text), searchWords(query));

describe("the search", () => {
  it.each([
    ["Tokyo", "tokyo"],
    ["tokyo-core", "TOKYO"],
    ["Málaga", "malaga"],
    ["malaga", "MÁLAGA"],
    ["lyon-edge\nEdge rack, Lyon", "rack lyon"],
    ["anything", "   "],
    ["a%b?c", "%b?"],
  ])("finds %j with %j", (text, query) => {
    expect(found(text, query)).toBe(true);
  });

  it.each([
    ["Tokyo", "kyoto"],
    ["lyon-edge", "lyon core"],
    ["abc", ".*"],
  ])("does not find %j with %j", (text, query) => {
    expect(found(text, query)).toBe(false);
  });
});
