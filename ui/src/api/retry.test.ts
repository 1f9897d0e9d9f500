import { describe, expect, it } from "vitest";
import { ApiError } from "./client";
import { retryDelay, shouldRetry } from "./retry";

describe("shouldRetry", () => {
  it.each([400, 401, 403, 404, 409, 429])("never repeats a refusal with status %d", (status) => {
    expect(shouldRetry(0, new ApiError(status, "no", ""))).toBe(false);
  });

  it.each([0, 500, 502, 503])("repeats status %d three times", (status) => {
    const error = new ApiError(status, "broken", "");
    expect([0, 1, 2, 3].map((failures) => shouldRetry(failures, error))).toEqual([true, true, true, false]);
  });

  it("waits longer each time", () => {
    expect([0, 1, 2].map(retryDelay)).toEqual([500, 1000, 2000]);
  });
});
