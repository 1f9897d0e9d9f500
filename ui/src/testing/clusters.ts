import type { Cluster, FleetCluster, FleetValues } from "@/api/types";

/** A healthy cluster of three members; tests change what they are about. */
export function cluster(changes: Partial<Cluster> = {}): Cluster {
  return {
    name: "lyon-edge",
    description: "Edge rack, Lyon",
    disk_threshold: 80,
    memory_threshold: 80,
    cluster_certificate: "",
    certificate_not_after: "2036-11-01T08:15:42Z",
    status: "ACTIVE",
    ceph_count: 3,
    member_count: 3,
    instance_count: 9,
    created_at: "2026-11-01T08:15:42Z",
    last_status_update_at: "2026-11-22T05:02:11Z",
    ui_url_override: "",
    ceph_statuses: [{ status: "ONLINE", count: 3 }],
    cpu_total_count: 24,
    cpu_load_1: "3.93",
    cpu_load_5: "3.54",
    cpu_load_15: "3.14",
    memory_total_amount: 1000,
    memory_usage: 430,
    storage_pool_usages: [
      { name: "local", member: "a01", total: 100, usage: 20 },
      { name: "local", member: "a02", total: 100, usage: 70 },
      { name: "remote", member: "", total: 1000, usage: 500 },
    ],
    member_statuses: [
      { status: "Online", count: 2 },
      { status: "Evacuated", count: 1 },
    ],
    instance_statuses: [
      { status: "Running", count: 5 },
      { status: "Ready", count: 2 },
      { status: "Stopped", count: 1 },
      { status: "Freezing", count: 1 },
    ],
    ui_url: "https://10.40.7.11:8443",
    tunnel_registered: true,
    joined_at: "2026-11-01T08:15:42Z",
    state: "online",
    last_heartbeat_at: "2026-11-22T05:02:11Z",
    heartbeat_interval_seconds: 60,
    certificate_fingerprint: "ab".repeat(32),
    warnings: [],
    ...changes,
  };
}

/** The compact row of such a cluster, as the server sends it: the values in this order. */
export function fleetCluster(changes: Partial<FleetCluster> = {}): FleetValues {
  const row: FleetCluster = {
    name: "lyon-edge",
    description: "Edge rack, Lyon",
    state: "online",
    seen: Date.parse("2026-11-22T05:02:11Z") / 1000,
    members: [3, 1, 0, 1, 0],
    instances: [9, 7, 0, 1, 0],
    memory: [430, 1000],
    storage: [590, 1200],
    pool: ["local", 70],
    load: "3.93",
    tunnel: true,
    warnings: [],
    thresholds: [80, 80],
    joined: Date.parse("2026-11-01T08:15:42Z") / 1000,
    ...changes,
  };
  return Object.values(row) as FleetValues;
}
