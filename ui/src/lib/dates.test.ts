import { describe, expect, it } from "vitest";
import { dateTimeText, parseTime, shortTimeText, timeZoneText, toLocalInput } from "./dates";

describe("parseTime", () => {
  it.each([null, undefined, "", "soon", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])(
    "knows no time in %j",
    (text) => {
      expect(parseTime(text)).toBeNull();
    },
  );

  it("reads nine fractional digits", () => {
    expect(parseTime("2026-11-22T05:02:11.904411123Z")).toBe(Date.UTC(2026, 10, 22, 5, 2, 11, 904));
  });
});

describe("texts of moments", () => {
  it("says Never for no time", () => {
    expect(dateTimeText(null)).toBe("Never");
  });

  it("gives the time of today, the day of this half year, and the date of long ago", () => {
    const now = new Date(2026, 10, 22, 18, 0).getTime();
    const hours = (n: number) => shortTimeText(now - n * 3_600_000, now);
    expect(hours(2)).toMatch(/4:00|16:00/);
    expect(hours(9 * 24)).toMatch(/13/);
    expect(hours(9 * 24)).not.toMatch(/2026/);
    expect(hours(400 * 24)).toMatch(/2025/);
  });

  it("fills a local input so that reading it back gives the same minute", () => {
    const at = new Date(2026, 0, 5, 7, 9).getTime();
    expect(toLocalInput(at)).toBe("2026-01-05T07:09");
    expect(new Date(toLocalInput(at)).getTime()).toBe(at);
  });

  it("names the time zone of the browser", () => {
    expect(timeZoneText(Date.UTC(2026, 0, 5))).toContain(Intl.DateTimeFormat().resolvedOptions().timeZone);
  });
});
