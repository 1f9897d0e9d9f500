import { describe, expect, it } from "vitest";
import { timeLeftText, tokenState } from "./tokenState";

const now = Date.UTC(2026, 10, 22, 12);
const token = (seconds: number, expired = false) => ({ expiry: new Date(now + seconds * 1000).toISOString(), expired });

describe("[token-states] tokenState", () => {
  it.each([
    [3600, "valid"],
    [3599, "soon"],
    [1, "soon"],
    [0, "expired"],
    [-60, "expired"],
  ])("with %d seconds left is %s", (seconds, state) => {
    expect(tokenState(token(seconds), now)).toBe(state);
  });

  it("believes the server when it says expired", () => {
    expect(tokenState(token(9999, true), now)).toBe("expired");
  });
});

describe("timeLeftText", () => {
  it("counts down, then says how long ago it was", () => {
    expect(timeLeftText(token(6 * 86_400), now)).toBe("6 days left");
    expect(timeLeftText(token(-7200), now)).toBe("2 h ago");
  });
});
