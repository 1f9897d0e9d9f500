// The Management API's answers under the names that the pages use. What they hold is written in its description, which
// `schema.ts` is made from. Times are RFC 3339 texts unless said otherwise, amounts are bytes.
import type { components } from "./schema";

export type Schemas = components["schemas"];

/** A body as it is sent: absent keys stay as they are. */
type Sent<Body> = { [Key in keyof Body]?: NonNullable<Body[Key]> };

/** Who is logged in: `GET /1.0`. */
export type Me = Schemas["ServerView"];
export type Role = Schemas["Role"];

/** Settings of the server: `GET /1.0/configuration`, in the order in which they are shown. */
export type Configuration = Record<string, { value: string; title: string; description: string }>;

export type StatusCount = Schemas["StatusCount"];
export type StoragePool = Schemas["StoragePoolUsage"];
/** `waiting`: joined less than 5 minutes ago and not heard of yet; `never`: not heard of since it joined. */
export type ClusterState = Schemas["Freshness"];
export type ClusterWarning = Schemas["Warning"];
/** An enrolled cluster: `GET /1.0/remote-cluster` and `GET /1.0/remote-cluster/{name}`. */
export type Cluster = Schemas["ClusterView"];
export type ClusterChanges = Sent<Schemas["ChangeBody"]>;

/** A join token that no cluster has used yet: `GET /1.0/remote-cluster-join-token`. The secret is never listed. */
export type JoinToken = Schemas["JoinTokenView"];
export type NewJoinToken = Required<Sent<Schemas["NewTokenBody"]>>;

/** One line of `GET /1.0/fleet/clusters`. */
export type FleetCluster = Schemas["CompactRow"];
/** The same without the keys, since there are thousands: `rows=values`. */
export type FleetValues = Schemas["CompactValues"];
/** `GET /1.0/fleet/summary`. */
export type FleetSummary = Schemas["Summary"];
/** `GET /1.0/fleet/history`: at most 500 points. */
export type FleetHistory = Schemas["FleetHistoryView"];
export type FleetPoint = Schemas["FleetHistoryPoint"];
/** Average and highest value of an interval. */
export type Measure = Schemas["Measure"];
export type ClusterPoint = Schemas["PointView"];
/** `GET /1.0/fleet/history/{name}`: intervals without a heartbeat have no point. */
export type ClusterHistory = Schemas["HistoryView"];

/** What `POST /1.0/fleet/actions` changes in many clusters at once. */
export type BulkChanges = Pick<ClusterChanges, "description" | "disk_threshold" | "memory_threshold">;
export type BulkAction = { action: "remove" } | { action: "edit"; changes: BulkChanges };
/** What came of one name of `POST /1.0/fleet/actions`. */
export type BulkResult = Schemas["ResultView"];
