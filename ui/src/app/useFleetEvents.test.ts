import { describe, expect, it } from "vitest";
import { merge, parseEvent } from "./useFleetEvents";

describe("events of the fleet", () => {
  it("are read for what they are, and for nothing where they are not", () => {
    expect(parseEvent('{"clusters":["a"],"tokens":true}')).toEqual({ clusters: ["a"], tokens: true });
    expect(parseEvent('{"clusters":null,"tokens":false}')).toEqual({ clusters: null, tokens: false });
    expect(parseEvent("{}")).toEqual({ clusters: null, tokens: false });
    expect(parseEvent("hello")).toBeNull();
  });

  it("are put together, and anything stays anything", () => {
    expect(merge({ clusters: ["a", "b"], tokens: false }, { clusters: ["b", "c"], tokens: true })).toEqual({
      clusters: ["a", "b", "c"],
      tokens: true,
    });
    expect(merge({ clusters: ["a"], tokens: false }, { clusters: null, tokens: false }).clusters).toBeNull();
  });
});
