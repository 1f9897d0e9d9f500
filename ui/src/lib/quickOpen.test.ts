import { expect, it } from "vitest";
import { quickMatches, type Target } from "./quickOpen";

it("[quick-open] finds by parts of names, those that begin with them first", () => {
  const targets: Target[] = ["Settings", "old-lyon", "lyon-edge", "Málaga"].map((label) => ({
    kind: "Cluster",
    label,
    to: `/${label}`,
  }));
  const found = (text: string) => quickMatches(targets, text).map(({ label }) => label);
  expect(found("lyon")).toEqual(["lyon-edge", "old-lyon"]);
  expect(found("malaga")).toEqual(["Málaga"]);
  expect(found("lyon old")).toEqual(["old-lyon"]);
  expect(found("")).toHaveLength(4);
  expect(found("nowhere")).toEqual([]);
  const many = Array.from({ length: 5000 }, (_, n): Target => ({ kind: "Cluster", label: `c${n}`, to: "/" }));
  expect(quickMatches(many, "c")).toHaveLength(12);
});
