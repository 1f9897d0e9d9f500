import { expect, it } from "vitest";
import { fleetCluster } from "@/testing/clusters";
import { toFleetRow } from "./fleetRow";
import { summarise } from "./summary";

it("adds up the fleet", () => {
  const all = summarise(
    [
      fleetCluster({ warnings: ["members"] }),
      fleetCluster({ name: "b", state: "never", seen: null }),
      fleetCluster({ name: "c", state: "offline", memory: [0, 0] }),
    ].map(toFleetRow),
  );
  expect(all).toEqual({
    clusters: 3,
    states: { online: 1, stale: 0, offline: 1, waiting: 0, never: 1 },
    members: 6,
    membersOnline: 4,
    instances: 18,
    running: 14,
    memoryUsed: 430,
    memoryTotal: 1000,
    storageUsed: 1180,
    storageTotal: 2400,
    warnings: 1,
    clustersWithWarnings: 1,
  });
});
