import { useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useEffect } from "react";
import { ApiError } from "@/api/client";
import { meQuery } from "@/api/queries";
import type { Me } from "@/api/types";

export interface Session {
  me: UseQueryResult<Me>;
  /** `none`: nobody has logged in; `ended`: somebody had, and the page still shows their work. */
  state: "unknown" | "none" | "open" | "ended";
}

/** Who is logged in. When a session that ended is followed by another one, everything is asked for again. */
export function useSession(): Session {
  const me = useQuery(meQuery);
  const client = useQueryClient();
  const refused = me.error instanceof ApiError && me.error.status === 401;
  const known = me.data !== undefined;
  const ended = refused && known;

  useEffect(() => {
    if (!ended) return;
    const before = client.getQueryData(meQuery.queryKey)?.email;
    return () => {
      const now = client.getQueryData(meQuery.queryKey)?.email;
      // Somebody else must not see what the first one saw.
      if (now !== before) window.location.reload();
      else void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== meQuery.queryKey[0] });
    };
  }, [ended, client]);

  return { me, state: ended ? "ended" : refused ? "none" : known ? "open" : "unknown" };
}
