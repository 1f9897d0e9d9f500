import { queryOptions } from "@tanstack/react-query";
import { call } from "./client";

/** A login of the person: `GET /1.0/sessions`. Times are RFC 3339 texts. */
export interface OwnSession {
  id: string;
  /** Whether it is the one of this browser. */
  current: boolean;
  source: string;
  user_agent: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
}

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: () => call<OwnSession[]>("GET", "/1.0/sessions"),
});

export function endSession(id: string): Promise<unknown> {
  return call("DELETE", `/1.0/sessions/${encodeURIComponent(id)}`);
}
