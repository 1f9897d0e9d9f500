import { useQuery, type QueryKey, type UseQueryOptions, type UseQueryResult } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import { REFRESH_MS } from "@/api/queries";

/** After a failure the page asks more often than it does in good times. */
const AFTER_FAILURE_MS = 10_000;

export interface Refreshing<T> {
  query: UseQueryResult<T>;
  /** The server refuses this person. */
  forbidden: boolean;
  /** When the page asks again after a failure, by the browser's clock. */
  nextAttemptAt: number | undefined;
}

/** A query that renews itself every 30 seconds, and sooner after a failure. Refusals are not asked again. */
export function useRefreshing<T, K extends QueryKey>(
  options: UseQueryOptions<T, Error, T, K>,
  paused = false,
): Refreshing<T> {
  const query = useQuery({
    ...options,
    refetchOnWindowFocus: !paused,
    refetchInterval: ({ state }) => {
      if (paused || isRefusal(state.error)) return false;
      return state.status === "error" ? AFTER_FAILURE_MS : REFRESH_MS;
    },
  });
  const failing = query.isError && !isRefusal(query.error) && !paused;
  return {
    query,
    forbidden: query.error instanceof ApiError && query.error.status === 403,
    nextAttemptAt: failing ? query.errorUpdatedAt + AFTER_FAILURE_MS : undefined,
  };
}

function isRefusal(error: Error | null): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500;
}
