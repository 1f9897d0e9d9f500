import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { serverNow } from "./serverClock";
import { toFleetRow } from "@/lib/fleetRow";
import { rangeBounds, type Range } from "@/lib/ranges";
import { call, callIfChanged, type Kept } from "./client";
import type { BulkAction, BulkResult, ClusterHistory, FleetHistory, FleetSummary, FleetValues } from "./types";

const FLEET = "/1.0/fleet";

/** Names that one bulk request may carry. */
export const BULK_MAX = 500;

let kept: Kept<FleetValues[] | null> | undefined;
let keptRows: ReturnType<typeof toFleetRow>[] | undefined;

/** The compact rows of all clusters. While nothing changes the rows stay the same objects. */
export const fleetQuery = queryOptions({
  queryKey: ["fleet"],
  queryFn: async ({ client }) => {
    const before = keptRows !== undefined && hasRows(client) ? kept : undefined;
    const answer = await callIfChanged<FleetValues[] | null>(`${FLEET}/clusters?rows=values`, before);
    if (answer !== kept || keptRows === undefined) {
      kept = answer;
      keptRows = (answer.value ?? []).map(toFleetRow);
    }
    return keptRows;
  },
  structuralSharing: false,
});

/** After a logout nothing of the last session is reused. */
function hasRows(client: QueryClient): boolean {
  return client.getQueryData(fleetQuery.queryKey) !== undefined;
}

export const summaryQuery = queryOptions({
  queryKey: ["fleet-summary"],
  queryFn: () => call<FleetSummary>("GET", `${FLEET}/summary`),
});

export const fleetHistoryQuery = (range: Range) =>
  queryOptions({
    queryKey: ["fleet-history", range],
    queryFn: () => call<FleetHistory>("GET", `${FLEET}/history?${rangeBounds(range, serverNow())}`),
  });

export const clusterHistoryQuery = (name: string, range: Range) =>
  queryOptions({
    queryKey: ["cluster-history", name, range],
    queryFn: () =>
      call<ClusterHistory>("GET", `${FLEET}/history/${encodeURIComponent(name)}?${rangeBounds(range, serverNow())}`),
  });

/** Changes or removes at most [`BULK_MAX`] clusters; each name has a result of its own. */
export async function bulk(names: readonly string[], what: BulkAction, signal?: AbortSignal): Promise<BulkResult[]> {
  const { results } = await call<{ results: BulkResult[] }>("POST", `${FLEET}/actions`, { ...what, names }, signal);
  return results;
}
