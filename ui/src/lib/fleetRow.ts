import type { ClusterState, FleetValues } from "@/api/types";
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

export function toFleetRow(values: FleetValues): FleetRow {
  const [name, description, state, seen, members, instances, memory, storage, pool, load, ...others] = values;
  const [tunnel, warnings, [disk, ofMemory], joined] = others;
  return {
    name,
    description,
    foldedName: fold(name),
    foldedDescription: fold(description),
    state,
    heartbeatAt: seen === null ? null : seen * 1000,
    joinedAt: joined * 1000,
    figures: seen === null ? null : { ...counts(members, instances), ...amounts(memory, storage, pool, load) },
    tunnel,
    warnings,
    thresholds: { disk, memory: ofMemory },
  };
}

function counts(members: FleetValues[4], instances: FleetValues[5]) {
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
  };
}

function amounts(memory: FleetValues[6], storage: FleetValues[7], pool: FleetValues[8], load: string) {
  const parsedLoad = Number.parseFloat(load);
  return {
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
