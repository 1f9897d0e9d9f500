import { describe, expect, it } from "vitest";
import { auditDetails } from "./auditDetails";
import { exactTimeText } from "./dates";

describe("the details of an audit record", () => {
  it.each([
    [null, ""],
    [{}, ""],
    [{ disk_threshold: { old: 80, new: 90 } }, "disk_threshold: 80 → 90"],
    [{ description: { old: "", new: "Edge rack" } }, "description: “” → Edge rack"],
    [{ groups: ["admins", "operators"], user_agent: "curl/8.5" }, "groups: admins, operators, user_agent: curl/8.5"],
    [{ groups: [] }, "groups: []"],
    [{ copied: { copied: 3, left: 0 }, done: true }, 'copied: {"copied":3,"left":0}, done: true'],
    [{ reason: null, mixed: ["a", 1] }, 'reason: null, mixed: ["a",1]'],
  ])("%j are “%s”", (details, text) => {
    expect(auditDetails(details)).toBe(text);
  });

  it("show moments as dates", () => {
    expect(auditDetails({ expires_at: 1_800_000_000 })).toBe(`expires_at: ${exactTimeText(1_800_000_000_000)}`);
  });
});
