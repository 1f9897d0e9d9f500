import { useQuery } from "@tanstack/react-query";
import { meQuery } from "@/api/queries";
import type { Role } from "@/api/types";

const RANK: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

export interface Rights {
  /** Enrol, configure, start and stop. */
  mayChange: boolean;
  /** Remove clusters, read the audit records. */
  mayAdminister: boolean;
}

/** What the person who is logged in may do. The server decides again; the pages only leave out what would be refused. */
export function useRights(): Rights {
  const role = useQuery({ ...meQuery, enabled: false }).data?.role ?? null;
  const rank = role === null ? 0 : RANK[role];
  return { mayChange: rank >= RANK.operator, mayAdminister: rank >= RANK.admin };
}
