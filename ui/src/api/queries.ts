import { queryOptions } from "@tanstack/react-query";
import { toRow } from "@/lib/clusterRow";
import { call } from "./client";
import type { Cluster, Configuration, JoinToken, Me, NewJoinToken } from "./types";

export const REFRESH_MS = 30_000;

const CLUSTERS = "/1.0/remote-cluster";
const TOKENS = "/1.0/remote-cluster-join-token";
const clusterPath = (name: string) => `${CLUSTERS}/${encodeURIComponent(name)}`;

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: () => call<Me>("GET", "/1.0"),
  staleTime: Infinity,
});

export const configurationQuery = queryOptions({
  queryKey: ["configuration"],
  queryFn: () => call<Configuration>("GET", "/1.0/configuration"),
  staleTime: Infinity,
});

// A null list is an empty list.
export const clustersQuery = queryOptions({
  queryKey: ["clusters"],
  queryFn: async () => ((await call<Cluster[] | null>("GET", CLUSTERS)) ?? []).map(toRow),
});

export const clusterQuery = (name: string) =>
  queryOptions({
    queryKey: ["cluster", name],
    queryFn: () => call<Cluster>("GET", clusterPath(name)),
  });

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: async () => (await call<JoinToken[] | null>("GET", TOKENS)) ?? [],
});

export function removeCluster(name: string): Promise<unknown> {
  return call("DELETE", clusterPath(name));
}

export function createToken(token: NewJoinToken): Promise<{ token: string }> {
  return call("POST", TOKENS, token);
}

export function revokeToken(name: string): Promise<unknown> {
  return call("DELETE", `${TOKENS}/${encodeURIComponent(name)}`);
}

/** Ends the session on the server and gives the address to go to: the identity provider's logout, or our login. */
export async function logOut(): Promise<string> {
  const { redirect } = await call<{ redirect: string }>("POST", "/oidc/logout", {});
  return redirect;
}
