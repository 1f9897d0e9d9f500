import type { Cluster, ClusterState, ClusterWarning, StatusCount, StoragePool } from "@/api/types";
import { parseTime } from "./dates";
import { fold } from "./search";

export interface Usage {
  /** Bytes. */
  used: number;
  /** Bytes. */
  total: number;
  /** Exact share of 0 to 100; texts round it up. */
  percent: number;
}

/** What one line of the list shows: counted and summed once per answer, not once per drawing. */
export interface ClusterRow {
  name: string;
  description: string;
  /** Name and description, folded for the search. */
  searchText: string;
  state: ClusterState;
  /** Milliseconds; null if the cluster never sent a heartbeat. */
  heartbeatAt: number | null;
  joinedAt: number | null;
  /** Null where no heartbeat has brought figures yet. */
  figures: Figures | null;
  warnings: ClusterWarning[];
  uiUrl: string;
}

export interface Figures {
  members: number;
  membersOnline: number;
  memberStatuses: StatusCount[];
  instances: number;
  running: number;
  instanceStatuses: StatusCount[];
  /** Load averages over 1, 5 and 15 minutes, summed over the members; null if the cluster sent none. */
  load: [number | null, number | null, number | null];
  memory: Usage | null;
  memoryThreshold: number;
  storage: Usage | null;
  pools: number;
  fullestPool: (Usage & { name: string; member: string }) | null;
  diskThreshold: number;
}

/** The figures of a cluster as the list and the page of the cluster show them. */
export function toRow(cluster: Cluster): ClusterRow {
  const heartbeatAt = parseTime(cluster.last_heartbeat_at);
  return {
    name: cluster.name,
    description: cluster.description,
    searchText: fold(`${cluster.name}\n${cluster.description}`),
    state: cluster.state,
    heartbeatAt,
    joinedAt: parseTime(cluster.joined_at),
    figures: heartbeatAt === null ? null : toFigures(cluster),
    warnings: cluster.warnings,
    uiUrl: safeUrl(cluster.ui_url),
  };
}

function toFigures(cluster: Cluster): Figures {
  const pools = cluster.storage_pool_usages;
  return {
    members: sum(cluster.member_statuses),
    membersOnline: countOf(cluster.member_statuses, ["online"]),
    memberStatuses: cluster.member_statuses,
    instances: sum(cluster.instance_statuses),
    // LXD calls a virtual machine whose agent answers `Ready`: it runs.
    running: countOf(cluster.instance_statuses, ["running", "ready"]),
    instanceStatuses: cluster.instance_statuses,
    load: [load(cluster.cpu_load_1), load(cluster.cpu_load_5), load(cluster.cpu_load_15)],
    memory: usage(cluster.memory_usage, cluster.memory_total_amount),
    memoryThreshold: cluster.memory_threshold,
    storage: usage(total(pools, "usage"), total(pools, "total")),
    pools: pools.length,
    fullestPool: fullest(pools),
    diskThreshold: cluster.disk_threshold,
  };
}

/** The three load averages as text; null where the cluster sent none. */
export function loadText(figures: Figures | null): string | null {
  if (figures === null || figures.load.every((load) => load === null)) return null;
  return figures.load.map((load) => load?.toFixed(2) ?? "–").join("  ");
}

/** Used and total bytes; null for no capacity at all. */
export function usage(used: number, total: number): Usage | null {
  return total > 0 ? { used, total, percent: (used / total) * 100 } : null;
}

function fullest(pools: readonly StoragePool[]): Figures["fullestPool"] {
  let best: Figures["fullestPool"] = null;
  for (const pool of pools) {
    const of = usage(pool.usage, pool.total);
    if (of !== null && (best === null || of.percent > best.percent)) {
      best = { ...of, name: pool.name, member: pool.member };
    }
  }
  return best;
}

function total(pools: readonly StoragePool[], key: "usage" | "total"): number {
  return pools.reduce((bytes, pool) => bytes + pool[key], 0);
}

function sum(statuses: readonly StatusCount[]): number {
  return statuses.reduce((all, { count }) => all + count, 0);
}

function countOf(statuses: readonly StatusCount[], wanted: readonly string[]): number {
  return sum(statuses.filter(({ status }) => wanted.includes(status.toLowerCase())));
}

function load(text: string): number | null {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : null;
}

/** Clusters send this address: only http and https become a link. */
export function safeUrl(text: string): string {
  return /^https?:\/\//i.test(text) ? text : "";
}
