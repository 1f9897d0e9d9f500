import { describe, expect, it } from "vitest";
import { laterStart, sparklinePath, toSeries } from "./series";

const at = (minute: number) => new Date(minute * 60_000).toISOString();

describe("toSeries", () => {
  it("leaves a gap where intervals are missing", () => {
    const points = [
      { at: at(0), n: 1 },
      { at: at(1), n: 2 },
      { at: at(5), n: 3 },
    ];
    expect(toSeries(points, 60, [(point) => point.n, () => null])).toEqual({
      times: [0, 60, 120, 300],
      lines: [
        [1, 2, null, 3],
        [null, null, null, null],
      ],
    });
  });

  it("leaves out points without a readable time", () => {
    expect(toSeries([{ at: "soon" }], 60, [() => 1])).toEqual({ times: [], lines: [[]] });
  });
});

describe("laterStart", () => {
  const history = (...minutes: number[]) => ({
    from: at(0),
    to: at(120),
    step_seconds: 60,
    points: minutes.map((minute) => ({ at: at(minute) })),
  });

  it("draws all of the span where at least half of it has values", () => {
    expect(laterStart(history(0, 1, 2))).toBeNull();
    expect(laterStart(history(59, 119))).toBeNull();
  });

  it("begins shortly before the first value where that came late, and never with a handful of intervals", () => {
    expect(laterStart(history(60, 61))).toEqual({ begin: 59 * 60, first: 60 * 60 });
    expect(laterStart(history(118))).toEqual({ begin: 108 * 60, first: 118 * 60 });
  });

  it("leaves an empty history as it is", () => {
    expect(laterStart(history())).toBeNull();
  });
});

describe("sparklinePath", () => {
  it("goes from the lowest to the highest value, with gaps", () => {
    expect(sparklinePath([0, 10], 100, 20)).toBe("M0.0 20.0L100.0 0.0");
    expect(sparklinePath([5, null, 5], 100, 20)).toBe("M0.0 10.0M100.0 10.0");
    expect(sparklinePath([7], 100, 20)).toBe("M0.0 10.0");
    expect(sparklinePath([null], 100, 20)).toBe("");
  });
});
