/**
 * The dashboard of a cluster, below the dashboard's address that is configured: the metrics of a cluster carry its name
 * as their `job`. Null while no address is configured.
 */
export function metricsAddress(base: string | undefined, cluster: string): string | null {
  if (base === undefined || !/^https?:\/\//i.test(base)) return null;
  return `${base.replace(/\/+$/, "")}/lxd?orgId=1&var-job=${encodeURIComponent(cluster)}`;
}
