import { describe, expect, it } from "vitest";
import { slicesOf } from "./statuses";

describe("slicesOf", () => {
  it("[unknown-status] shows statuses that it does not know by their own names", () => {
    const slices = slicesOf("instances", [
      { status: "RUNNING", count: 3 },
      { status: "Ready", count: 2 },
      { status: "Freezing", count: 1 },
    ]);
    expect(slices.map(({ label, value }) => `${label} ${value}`)).toEqual([
      "Running 3",
      "Stopped 0",
      "Frozen 0",
      "Error 0",
      "Ready 2",
      "Freezing 1",
    ]);
  });
});
