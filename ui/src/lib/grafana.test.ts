import { expect, it } from "vitest";
import { metricsAddress } from "./grafana";

const OURS = "119affc81842cd783f5c522eae0ef6c519217ba2";

it.each([
  ["https://grafana.example", `https://grafana.example/d/${OURS}`],
  ["https://grafana.example/cos-grafana/", `https://grafana.example/cos-grafana/d/${OURS}`],
  ["https://grafana.example/d/0123abcd/", "https://grafana.example/d/0123abcd"],
])("leads from %s to the cluster on the dashboard", (base, dashboard) => {
  expect(metricsAddress(base, "a b/c")).toBe(`${dashboard}/lxd?orgId=1&var-job=a%20b%2Fc`);
  expect(metricsAddress(base, "lyon-edge-1")).toBe(`${dashboard}/lxd?orgId=1&var-job=lyon_edge_1`);
});

it.each(["", undefined, "javascript:alert(1)"])("leads nowhere from %s", (base) => {
  expect(metricsAddress(base, "a")).toBeNull();
});
