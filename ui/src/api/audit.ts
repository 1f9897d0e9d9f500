import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call } from "./client";

/** One line of the audit records: `GET /1.0/audit`. */
export interface AuditRecord {
  id: string;
  /** RFC 3339. */
  at: string;
  /** A person, a cluster or a unit of the deployment. */
  actor: string;
  /** The name of the person at that time; empty where there was none. */
  actor_name: string;
  source: string;
  event: string;
  /** The cluster or token that it is about; empty for none. */
  object: string;
  outcome: string;
  request_id: string;
  /** What was changed, with old and new values; null for nothing. */
  details: Record<string, unknown> | null;
}

export interface AuditPage {
  records: AuditRecord[];
  /** Where the next page begins; null on the last one. */
  next: string | null;
}

export interface AuditFilter {
  event: string;
  actor: string;
  object: string;
}

const PAGE = 50;
const RECENT = 8;

function audit(filter: Partial<AuditFilter>, limit: number, before: string | null): Promise<AuditPage> {
  const params = new URLSearchParams({ limit: String(limit) });
  for (const [key, value] of Object.entries(filter)) {
    if (value.trim() !== "") params.set(key, value.trim());
  }
  if (before !== null) params.set("before", before);
  return call<AuditPage>("GET", `/1.0/audit?${params}`);
}

/** The records page by page, the newest first. */
export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam }) => audit(filter, PAGE, pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

/** The newest records. */
export const recentAuditQuery = queryOptions({
  queryKey: ["audit-recent"],
  queryFn: async () => (await audit({}, RECENT, null)).records,
});

/** Who did it, by name where there is one. */
export function actorText({ actor, actor_name: name }: AuditRecord): string {
  return name === "" ? actor : name;
}
