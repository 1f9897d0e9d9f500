import type { ClusterState } from "@/api/types";
import type { FleetRow } from "./fleetRow";

/** The whole fleet in a few numbers. */
export interface Summary {
  clusters: number;
  states: Record<ClusterState, number>;
  members: number;
  membersOnline: number;
  instances: number;
  running: number;
  /** Bytes. */
  memoryUsed: number;
  memoryTotal: number;
  storageUsed: number;
  storageTotal: number;
  warnings: number;
  clustersWithWarnings: number;
}

export function summarise(rows: readonly FleetRow[]): Summary {
  const all: Summary = {
    clusters: rows.length,
    states: { online: 0, stale: 0, offline: 0, waiting: 0, never: 0 },
    members: 0,
    membersOnline: 0,
    instances: 0,
    running: 0,
    memoryUsed: 0,
    memoryTotal: 0,
    storageUsed: 0,
    storageTotal: 0,
    warnings: 0,
    clustersWithWarnings: 0,
  };
  for (const { state, figures, warnings } of rows) {
    all.states[state] += 1;
    all.warnings += warnings.length;
    all.clustersWithWarnings += warnings.length > 0 ? 1 : 0;
    if (figures === null) continue;
    all.members += figures.members;
    all.membersOnline += figures.members - figures.membersNotOnline;
    all.instances += figures.instances;
    all.running += figures.running;
    all.memoryUsed += figures.memory?.used ?? 0;
    all.memoryTotal += figures.memory?.total ?? 0;
    all.storageUsed += figures.storage?.used ?? 0;
    all.storageTotal += figures.storage?.total ?? 0;
  }
  return all;
}
