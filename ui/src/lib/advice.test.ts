import { describe, expect, it } from "vitest";
import { ApiError } from "@/api/client";
import { errorText } from "@/components/ErrorNotice";

const text = (status: number, message: string, more: ApiError["more"] = {}) =>
  errorText(new ApiError(status, message, "", more));

describe("an error in words", () => {
  it.each([
    [0, "The server cannot be reached.", "The server cannot be reached. Check the network, then try again."],
    [400, "name is wrong", "Name is wrong."],
    [401, "Unauthorized", "The session has ended: log in again."],
    [401, "the cluster refused the token", "The cluster refused the token."],
    [409, "cluster exists", "Cluster exists. Reload the page to see what is there now."],
    [
      413,
      "the request body must have at most 262144 bytes",
      "The request body must have at most 262144 bytes. Send less at once: shorter texts, or fewer clusters.",
    ],
    [429, "too many requests, try again later", "Too many requests, try again later."],
    [500, "Internal Server Error", "Internal Server Error. Try again; if it stays so, tell your administrator."],
    [
      502,
      "the cluster's answer cannot be used",
      "The cluster's answer cannot be used. Try again in a moment; if it stays so, see whether the Cluster Manager runs behind its proxy.",
    ],
    [503, "The server is not ready.", "The server is not ready. Try again in a moment."],
    [504, "no answer", "No answer. Try again; something may be busy or out of reach."],
  ])("says what happened and what to do for status %d", (status, message, expected) => {
    expect(text(status, message)).toBe(expected);
  });

  it("says how long to wait where the server said so", () => {
    expect(text(429, "too many requests, try again later", { retryAfter: 7 })).toBe(
      "Too many requests, try again later. Wait 7 s, then try again.",
    );
    expect(text(503, "away", { retryAfter: 2 })).toBe("Away. Wait 2 s, then try again.");
    expect(text(500, "fault", { retryAfter: 2 })).not.toContain("2 s");
  });

  it.each([0, 500, 502, 504])("warns with status %d that a change may have been made", (status) => {
    expect(text(status, "x", { changes: true })).toContain("It may have been done all the same");
    expect(text(status, "x", { changes: false })).not.toContain("all the same");
  });

  it.each([400, 403, 404, 409, 413, 429, 503])("knows with status %d that nothing was changed", (status) => {
    expect(text(status, "x", { changes: true })).not.toContain("all the same");
  });
});
