/** Grafana's own name of the dashboard about the LXD of one cluster; it stays the same wherever the charm brings it. */
const DASHBOARD = "119affc81842cd783f5c522eae0ef6c519217ba2";

/**
 * The dashboard of a cluster. The address that is configured is Grafana's own, or that of another dashboard (`…/d/<uid>`).
 * The metrics of a cluster carry its name as their `job`, with underscores for hyphens. Null while no address is configured.
 */
export function metricsAddress(base: string | undefined, cluster: string): string | null {
  if (base === undefined || !/^https?:\/\//i.test(base)) return null;
  const grafana = base.replace(/\/+$/, "");
  const dashboard = /\/d\/[^/]+$/.test(grafana) ? grafana : `${grafana}/d/${DASHBOARD}`;
  return `${dashboard}/lxd?orgId=1&var-job=${encodeURIComponent(cluster.replaceAll("-", "_"))}`;
}
