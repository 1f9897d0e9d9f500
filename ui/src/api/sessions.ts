import { queryOptions } from "@tanstack/react-query";
import { call } from "./client";
import type { Schemas } from "./types";

/** A login of the person: `GET /1.0/sessions`. */
export type OwnSession = Schemas["Session"];

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: () => call<OwnSession[]>("GET", "/1.0/sessions"),
});

export function endSession(id: string): Promise<unknown> {
  return call("DELETE", `/1.0/sessions/${encodeURIComponent(id)}`);
}
