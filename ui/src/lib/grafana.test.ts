import { expect, it } from "vitest";
import { metricsAddress } from "./grafana";

it("leads to the dashboard with the encoded name, and nowhere without a web address", () => {
  const base = "https://grafana.example/d/0123abcd/";
  expect(metricsAddress(base, "a b/c")).toBe("https://grafana.example/d/0123abcd/lxd?orgId=1&var-job=a%20b%2Fc");
  expect(metricsAddress("", "a")).toBeNull();
  expect(metricsAddress(undefined, "a")).toBeNull();
  expect(metricsAddress("javascript:alert(1)", "a")).toBeNull();
});
