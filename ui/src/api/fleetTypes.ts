// What `/1.0/fleet/…` answers. Amounts are bytes; moments are RFC 3339 texts unless said otherwise.
import type { ClusterState } from "./types";

/** One line of `GET /1.0/fleet/clusters`: short, since there are thousands. */
export interface FleetCluster {
  name: string;
  description: string;
  state: ClusterState;
  /** Unix seconds of the last heartbeat; null if there was none. */
  seen: number | null;
  /** Total, not online. */
  members: [number, number];
  /** Total, running, in error state. */
  instances: [number, number, number];
  /** Used, total. */
  memory: [number, number];
  /** Used, total, all pools together. */
  storage: [number, number];
  /** The fullest pool and how full it is in percent. */
  pool: [string, number] | null;
  /** Load average over one minute as a decimal text; empty if the cluster sent none. */
  load: string;
  tunnel: boolean;
  /** Kinds of its warnings, one entry per warning. */
  warnings: string[];
  /** Unix seconds. */
  joined: number;
}

export interface Amount {
  used: number;
  total: number;
}

/** `GET /1.0/fleet/summary`. */
export interface FleetSummary {
  clusters: Record<"total" | ClusterState | "with_warnings", number>;
  /** Clusters by the kind of their warnings. */
  warnings: Record<string, number>;
  members: { total: number; not_online: number };
  instances: Record<"total" | "running" | "stopped" | "error" | "other", number>;
  memory: Amount;
  storage: Amount;
  top: {
    memory: { name: string; percent: number }[];
    storage: { name: string; pool: string; percent: number }[];
    warnings: { name: string; count: number }[];
    silent: { name: string; since: string }[];
  };
  at: string;
}

/** `GET /1.0/fleet/history`: at most 500 points. */
export interface FleetHistory {
  from: string;
  to: string;
  step_seconds: number;
  points: FleetPoint[];
}

export interface FleetPoint {
  at: string;
  clusters: number;
  online: number;
  with_warnings: number;
  members: number;
  instances: number;
  memory_used: number;
  memory_total: number;
}

/** Average and highest value of an interval. */
export interface Measure {
  avg: number;
  max: number;
}

export interface ClusterPoint {
  at: string;
  heartbeats: number;
  memory: Measure;
  memory_total: number;
  load: Measure | null;
  members: Measure;
  instances: Measure;
  /** Used percent by pool. */
  storage: Record<string, Measure>;
}

/** `GET /1.0/fleet/history/{name}`: intervals without a heartbeat have no point. */
export interface ClusterHistory {
  from: string;
  to: string;
  step_seconds: number;
  points: ClusterPoint[];
}

export interface BulkChanges {
  description?: string;
  disk_threshold?: number;
  memory_threshold?: number;
}

export type BulkAction = { action: "remove" } | { action: "edit"; changes: BulkChanges };

/** What came of one name of `POST /1.0/fleet/actions`. */
export interface BulkResult {
  name: string;
  status: number;
  error: string | null;
}
