import { queryOptions } from "@tanstack/react-query";
import { call } from "./client";
import type { Cluster, ClusterChanges, Configuration, JoinToken, Me, NewJoinToken } from "./types";

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

const DETAILS = ["name", "member_statuses", "instance_statuses"] as const;

/** What the compact rows lack and some searches need. */
export type ClusterDetails = Pick<Cluster, (typeof DETAILS)[number]>;

/** Every status of all clusters, asked for only where somebody searches for one that the rows do not count. */
export const detailsQuery = queryOptions({
  queryKey: ["details"],
  queryFn: async () => {
    // A null list is an empty list.
    const clusters = (await call<ClusterDetails[] | null>("GET", `${CLUSTERS}?fields=${DETAILS.join(",")}`)) ?? [];
    return new Map(clusters.map((cluster) => [cluster.name, cluster]));
  },
  staleTime: REFRESH_MS,
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

export function changeCluster(name: string, changes: ClusterChanges): Promise<unknown> {
  return call("PATCH", clusterPath(name), changes);
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
