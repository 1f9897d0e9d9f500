import type { ClusterState, FleetCluster } from "@/api/types";
import { usage, type Usage } from "./clusterRow";
import { fold } from "./search";

/** Statuses that the rows count, in the order in which people read them. */
export const MEMBER_STATUSES = ["online", "blocked", "offline", "evacuated"] as const;
export const INSTANCE_STATUSES = ["running", "frozen", "error", "stopped"] as const;

/** What one line of the list shows: folded and parsed once per answer, not once per drawing. */
export interface FleetRow {
  name: string;
  description: string;
  /** Folded for the search. */
  foldedName: string;
  foldedDescription: string;
  state: ClusterState;
  /** Milliseconds; null if the cluster never sent a heartbeat. */
  heartbeatAt: number | null;
  joinedAt: number;
  /** Null where no heartbeat has brought figures yet. */
  figures: FleetFigures | null;
  tunnel: boolean;
  /** Kinds, one entry per warning. */
  warnings: readonly string[];
  /** Percent from which on pools and memory are too full; 0 for never. */
  thresholds: { disk: number; memory: number };
}

export interface FleetFigures {
  members: number;
  membersNotOnline: number;
  /** By the status's name in small letters; statuses that are not listed here are only in the sum. */
  memberStatuses: Record<(typeof MEMBER_STATUSES)[number], number>;
  instances: number;
  running: number;
  inError: number;
  instanceStatuses: Record<(typeof INSTANCE_STATUSES)[number], number>;
  memory: Usage | null;
  storage: Usage | null;
  /** The fullest pool. */
  pool: { name: string; percent: number } | null;
  load: number | null;
}

export function toFleetRow(cluster: FleetCluster): FleetRow {
  return {
    name: cluster.name,
    description: cluster.description,
    foldedName: fold(cluster.name),
    foldedDescription: fold(cluster.description),
    state: cluster.state,
    heartbeatAt: cluster.seen === null ? null : cluster.seen * 1000,
    joinedAt: cluster.joined * 1000,
    figures: cluster.seen === null ? null : toFigures(cluster),
    tunnel: cluster.tunnel,
    warnings: cluster.warnings,
    thresholds: { disk: cluster.thresholds[0], memory: cluster.thresholds[1] },
  };
}

function toFigures({ members, instances, memory, storage, pool, load }: FleetCluster): FleetFigures {
  const parsedLoad = Number.parseFloat(load);
  const [allMembers, notOnline, offline, evacuated, blocked] = members;
  const [allInstances, running, error, stopped, frozen] = instances;
  return {
    members: allMembers,
    membersNotOnline: notOnline,
    memberStatuses: { online: allMembers - notOnline, blocked, offline, evacuated },
    instances: allInstances,
    running,
    inError: error,
    instanceStatuses: { running, frozen, error, stopped },
    memory: usage(memory[0], memory[1]),
    storage: usage(storage[0], storage[1]),
    pool: pool === null ? null : { name: pool[0], percent: pool[1] },
    load: Number.isFinite(parsedLoad) ? parsedLoad : null,
  };
}

/** States in which the figures are from the past. */
export function isOld(state: ClusterState): boolean {
  return state === "stale" || state === "offline";
}

/** From what needs attention to what does not. */
const URGENCY: Record<ClusterState, number> = { offline: 0, never: 1, stale: 2, waiting: 3, online: 4 };

export function compareUrgency(a: ClusterState, b: ClusterState): number {
  return URGENCY[a] - URGENCY[b];
}
