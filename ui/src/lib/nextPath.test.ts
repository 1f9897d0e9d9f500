import { describe, expect, it } from "vitest";
import { loginPath, nextPath } from "./nextPath";

describe("nextPath", () => {
  it.each([
    ["/ui/clusters/tokens", "/clusters/tokens"],
    ["/ui/cluster/oslo%2Fcore?x=1", "/cluster/oslo%2Fcore?x=1"],
    ["/ui/clusters?panel=enroll-cluster", "/clusters?panel=enroll-cluster"],
  ])("opens %s", (next, path) => {
    expect(nextPath(next)).toBe(path);
  });

  it.each([
    null,
    "",
    "/",
    "/ui",
    "/ui/",
    "/ui//evil.example",
    "//evil.example/ui/",
    "https://evil.example/ui/",
    "/ui/\\evil.example",
    "/ui/a\nb",
    "/1.0/remote-cluster",
    "/ui/login?next=/ui/login",
  ])("goes to the start instead of %j", (next) => {
    expect(nextPath(next)).toBe("/clusters");
  });
});

describe("loginPath", () => {
  it("carries the page first asked for", () => {
    expect(loginPath("/clusters/tokens?sort=name")).toBe("/login?next=%2Fui%2Fclusters%2Ftokens%3Fsort%3Dname");
  });

  it("needs nothing for the start page", () => {
    expect(loginPath("/clusters")).toBe("/login");
    expect(loginPath("/")).toBe("/login");
  });
});
