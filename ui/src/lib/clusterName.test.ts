import { describe, expect, it } from "vitest";
import { nameProblem } from "./clusterName";

describe("nameProblem", () => {
  it.each(["a", "7", "lyon-edge", "Lyon_Edge.2", "a..b", "x".repeat(63)])("accepts %s", (name) => {
    expect(nameProblem(name)).toBeNull();
  });

  it.each([
    ["", /Enter a name/],
    ["x".repeat(64), /64 characters; 63 are allowed/],
    ["oslo core", /A space is not allowed/],
    ["oslo/core", /“\/” is not allowed/],
    ["málaga", /“á” is not allowed/],
    ["rack😀", /“😀” is not allowed/],
    ["-lyon", /must start with/],
    [".lyon", /must start with/],
    ["lyon-", /must end with/],
    ["_", /must start with/],
  ])("refuses %s", (name, problem) => {
    expect(nameProblem(name)).toMatch(problem);
  });
});
