import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** The texts of all test files below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.test\.(ts|tsx|js)$/.test(file))
    .map((file) => readFileSync(join(root, folder, file), "utf8"));
}

describe("what the interface promises", () => {
  const names = readFileSync(join(root, "tests/browser/acceptance-names.txt"), "utf8").trim().split("\n");
  // The titles of looks at screens are made where the widths are.
  const files = [
    ...filesIn("ui/src"),
    ...filesIn("tests/browser/journeys"),
    readFileSync(join(root, "tests/browser/src/checks.js"), "utf8"),
  ];
  /** What stands in quotation marks and begins with names in brackets: the title of a test. */
  const titles = files.flatMap((text) =>
    [...text.matchAll(/["'`]((?:\[[a-z0-9-]+[^\]]*\] ?)+)/g)].map(([, title]) => title),
  );

  it.each(names)("has a test called [%s]", (name) => {
    const start = name.endsWith("*") ? [`[${name.slice(0, -1)}`] : [`[${name}]`, `[${name}:`];
    expect(titles.some((title) => start.some((one) => title?.includes(one)))).toBe(true);
  });

  it("leaves no test out", () => {
    expect(files.filter((text) => /\b(?:it|test|describe)\.(?:skip|only|todo)\b/.test(text))).toEqual([]);
  });
});
