import { describe, expect, it } from "vitest";
import { ageText, durationText, sinceText } from "./age";

const MIN = 60;
const HOUR = 3600;
const DAY = 86_400;

describe("[age-text-table] durationText", () => {
  it.each([
    [-5, "0 s"],
    [0, "0 s"],
    [0.9, "0 s"],
    [42, "42 s"],
    [59, "59 s"],
    [59.99, "59 s"],
    [60, "1 min"],
    [5 * MIN, "5 min"],
    [59 * MIN + 59, "59 min"],
    [HOUR, "1 h"],
    [26 * HOUR, "26 h"],
    [48 * HOUR - 1, "47 h"],
    [2 * DAY, "2 days"],
    [9 * DAY, "9 days"],
    [1200 * DAY, "1,200 days"],
  ])("writes %d seconds as %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});

describe("ageText", () => {
  it("counts from the moment to now", () => {
    expect(ageText(1_000, 43_999)).toBe("42 s ago");
  });

  it("never shows a moment that is still to come as a negative age", () => {
    expect(ageText(10_000, 1_000)).toBe("0 s ago");
  });
});

describe("sinceText", () => {
  it.each([
    [0, "0:00"],
    [9, "0:09"],
    [60, "1:00"],
    [12 * MIN + 5, "12:05"],
    [HOUR, "1:00:00"],
    [3 * HOUR + 4 * MIN + 10, "3:04:10"],
    [2 * DAY - 1, "47:59:59"],
    [2 * DAY, "2 days"],
  ])("writes %d seconds as %s", (seconds, text) => {
    expect(sinceText(0, seconds * 1000)).toBe(text);
  });
});
