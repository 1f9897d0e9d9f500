import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import { meQuery } from "@/api/queries";
import { retryDelay, shouldRetry } from "@/api/retry";

/**
 * The store of everything the server said.
 *
 * A 401 to any call makes the page ask again who is logged in; the frame then leads to the login.
 */
export function createQueryClient(): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.status === 401) void client.invalidateQueries(meQuery);
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (query.queryKey[0] !== meQuery.queryKey[0]) onError(error);
      },
    }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      // `always`: a request fails quickly without a network, and the page says so; a paused one would say nothing.
      queries: { retry: shouldRetry, retryDelay, networkMode: "always", refetchOnReconnect: true },
      mutations: { retry: false, networkMode: "always", gcTime: 0 },
    },
  });
  return client;
}
