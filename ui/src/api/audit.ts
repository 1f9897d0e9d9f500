import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call } from "./client";
import type { Schemas } from "./types";

/** One line of the audit records: `GET /1.0/audit`. */
export type AuditRecord = Omit<Schemas["AuditRecord"], "details"> & {
  /** What was changed, with old and new values; null for nothing. */
  details: Record<string, unknown> | null;
};

/** `next` is where the next page begins; null on the last one. */
export type AuditPage = Omit<Schemas["AuditPage"], "records"> & { records: AuditRecord[] };

export interface AuditFilter {
  event: string;
  actor: string;
  object: string;
}

const PAGE = 50;
const RECENT = 8;

function audit(filter: Partial<AuditFilter>, limit: number, before: number | null): Promise<AuditPage> {
  const params = new URLSearchParams({ limit: String(limit) });
  for (const [key, value] of Object.entries(filter)) {
    if (value.trim() !== "") params.set(key, value.trim());
  }
  if (before !== null) params.set("before", String(before));
  return call<AuditPage>("GET", `/1.0/audit?${params}`);
}

/** The records page by page, the newest first. */
export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam }) => audit(filter, PAGE, pageParam),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
  });

/** The newest records. */
export const recentAuditQuery = queryOptions({
  queryKey: ["audit-recent"],
  queryFn: async () => (await audit({}, RECENT, null)).records,
});

/** Who did it, by name where there is one; the program itself and strangers have none. */
export function actorText({ actor, actor_kind: kind, actor_name: name }: AuditRecord): string {
  if (name !== "" || actor !== "") return name === "" ? actor : name;
  return kind === "system" ? "Cluster Manager" : "unknown";
}
