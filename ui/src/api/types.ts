// The Management API's answers, as far as the pages use them. Times are RFC 3339 texts, amounts are bytes.

/** Who is logged in: `GET /1.0`. */
export interface Me {
  email: string;
  name: string;
  groups: string[];
  trusted: boolean;
  /** What this person may do; null for nothing. */
  role: Role | null;
}

/** A viewer reads, an operator also enrols and changes, an administrator also removes. */
export type Role = "viewer" | "operator" | "admin";

/** Settings of the server: `GET /1.0/configuration`, in the order in which they are shown. */
export type Configuration = Record<string, { value: string; title: string; description: string }>;

export interface StatusCount {
  status: string;
  count: number;
}

export interface StoragePool {
  name: string;
  /** Empty for a pool of the whole cluster. */
  member: string;
  total: number;
  usage: number;
}

/** `waiting`: joined less than 5 minutes ago and not heard of yet; `never`: not heard of since it joined. */
export type ClusterState = "online" | "stale" | "offline" | "waiting" | "never";

/** A problem that the server found. Percentages are whole numbers, rounded up. */
export type ClusterWarning =
  | { kind: "pool"; name: string; member: string; percent: number; threshold: number }
  | { kind: "memory"; percent: number; threshold: number }
  | { kind: "members"; count: number }
  | { kind: "instances"; count: number }
  | { kind: "heartbeat"; minutes: number }
  | { kind: "ceph"; status: string; count: number };

/** An enrolled cluster: `GET /1.0/remote-cluster` and `GET /1.0/remote-cluster/{name}`. */
export interface Cluster {
  name: string;
  description: string;
  disk_threshold: number;
  memory_threshold: number;
  ceph_statuses: StatusCount[];
  /** Decimal texts, empty before the first heartbeat. */
  cpu_total_count: number;
  cpu_load_1: string;
  cpu_load_5: string;
  cpu_load_15: string;
  memory_total_amount: number;
  memory_usage: number;
  storage_pool_usages: StoragePool[];
  member_statuses: StatusCount[];
  instance_statuses: StatusCount[];
  ui_url: string;
  /** What an operator set in place of the address that the cluster reports; absent or empty for none. */
  ui_url_override?: string;
  tunnel_registered: boolean;
  joined_at: string;
  state: ClusterState;
  last_heartbeat_at: string | null;
  heartbeat_interval_seconds: number;
  /** SHA-256 of the cluster's certificate, 64 hexadecimal digits. */
  certificate_fingerprint: string;
  warnings: ClusterWarning[];
}

/** A join token that no cluster has used yet: `GET /1.0/remote-cluster-join-token`. The secret is never listed. */
export interface JoinToken {
  cluster_name: string;
  description: string;
  expiry: string;
  created_at: string;
  expired: boolean;
}

export interface NewJoinToken {
  cluster_name: string;
  description: string;
  expiry: string;
}

/** What can be changed of a cluster; absent fields stay. An empty `ui_url` goes back to what the cluster reports. */
export interface ClusterChanges {
  description?: string;
  disk_threshold?: number;
  memory_threshold?: number;
  ui_url?: string;
}
