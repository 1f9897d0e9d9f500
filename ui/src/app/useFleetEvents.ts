import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { fleetQuery, summaryQuery } from "@/api/fleet";
import { clusterQuery, detailsQuery, tokensQuery } from "@/api/queries";
import { isPaused } from "@/components/pause";

/** What changed: names of clusters, or null for "anything may have". */
export interface FleetEvent {
  clusters: string[] | null;
  tokens: boolean;
}

/** At most so often the list is asked for because of events: a fleet that is being enrolled changes all the time. */
const GATHER_MS = 2000;
const TRY_AGAIN_MS = 30_000;

/**
 * Listens to the server while a page is open, so that changes are seen at once. The pages ask every 30 seconds all the
 * same: where no event comes through, they are only that late.
 */
export function useFleetEvents(listening: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!listening || typeof EventSource === "undefined") return;
    let source: EventSource | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let gathering: ReturnType<typeof setTimeout> | undefined;
    let gathered: FleetEvent | undefined;

    const onFleet = (message: MessageEvent<string>) => {
      const event = parseEvent(message.data);
      if (event === null || isPaused()) return;
      gathered = gathered === undefined ? event : merge(gathered, event);
      gathering ??= setTimeout(() => {
        if (gathered !== undefined) refresh(client, gathered);
        [gathered, gathering] = [undefined, undefined];
      }, GATHER_MS);
    };
    const listen = () => {
      source = new EventSource("/1.0/fleet/events");
      source.addEventListener("fleet", onFleet);
      source.addEventListener("error", () => {
        // The browser connects again by itself after a broken connection, but not after a refusal.
        if (source?.readyState === EventSource.CLOSED) retry = setTimeout(listen, TRY_AGAIN_MS);
      });
    };
    listen();
    return () => {
      clearTimeout(retry);
      clearTimeout(gathering);
      source?.close();
    };
  }, [client, listening]);
}

export function parseEvent(text: string): FleetEvent | null {
  try {
    const event = JSON.parse(text) as Partial<FleetEvent> | null;
    const names = event?.clusters;
    return { clusters: Array.isArray(names) ? names : null, tokens: event?.tokens === true };
  } catch {
    return null;
  }
}

export function merge(a: FleetEvent, b: FleetEvent): FleetEvent {
  const clusters = a.clusters === null || b.clusters === null ? null : [...new Set([...a.clusters, ...b.clusters])];
  return { clusters, tokens: a.tokens || b.tokens };
}

function refresh(client: QueryClient, { clusters, tokens }: FleetEvent): void {
  const keys: (readonly unknown[])[] = [];
  if (clusters === null) keys.push(["cluster"]);
  else keys.push(...clusters.map((name) => clusterQuery(name).queryKey));
  if (clusters === null || clusters.length > 0) {
    keys.push(fleetQuery.queryKey, summaryQuery.queryKey, detailsQuery.queryKey);
  }
  if (tokens || clusters === null) keys.push(tokensQuery.queryKey);
  for (const queryKey of keys) void client.invalidateQueries({ queryKey });
}
