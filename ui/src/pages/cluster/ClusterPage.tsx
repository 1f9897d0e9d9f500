import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { Link, Outlet, useNavigate, useParams } from "react-router";
import Button from "@kit/Button";
import { ApiError } from "@/api/client";
import { fleetQuery } from "@/api/fleet";
import { clusterQuery, configurationQuery, removeCluster } from "@/api/queries";
import type { Cluster } from "@/api/types";
import { SearchArt } from "@/components/art";
import { EmptyState } from "@/components/EmptyState";
import { errorText } from "@/components/ErrorNotice";
import { NoRights } from "@/components/NoRights";
import { PageTabs, type Tab } from "@/components/PageTabs";
import { QueryNotice } from "@/components/QueryNotice";
import { RemoveDialog } from "@/components/RemoveDialog";
import { PageSkeleton } from "@/components/Skeleton";
import { StateBadge } from "@/components/StateBadge";
import { useToasts } from "@/components/Toasts";
import { usePanel } from "@/components/usePanel";
import { useRefreshing } from "@/components/useRefreshing";
import { useRights } from "@/components/useRights";
import { Visible } from "@/components/Visible";
import { useQuery } from "@tanstack/react-query";
import { safeUrl } from "@/lib/clusterRow";
import { metricsAddress } from "@/lib/grafana";
import { visible } from "@/lib/visible";
import type { ClusterContext } from "./context";

const ConfigurePanel = lazy(() => import("@/pages/configure/ConfigurePanel"));

/** One cluster: its name and state, what can be done with it, and its tabs. */
export function ClusterPage() {
  const { name = "" } = useParams();
  const { query, forbidden, nextAttemptAt } = useRefreshing(clusterQuery(name));
  const { mayChange } = useRights();
  const panel = usePanel();

  if (forbidden) return <NoRights />;
  if (query.error instanceof ApiError && query.error.status === 404) return <UnknownCluster name={name} />;
  const context: ClusterContext | null =
    query.data === undefined
      ? null
      : {
          cluster: query.data,
          mayChange,
          configure: (focusField) =>
            panel.open("configure-cluster", { cluster: name, ...(focusField === undefined ? {} : { focusField }) }),
        };
  return (
    <>
      <title>{`${visible(name)} | MicroCloud Cluster Manager`}</title>
      <div className="page-head">
        <nav className="crumbs" aria-label="Breadcrumb">
          <Link to="/clusters">Clusters</Link>
          <span aria-hidden="true">/</span>
        </nav>
        <h1 className="p-heading--4 page-head__title breakable">
          <Visible text={name} />
        </h1>
        {query.data !== undefined && <StateBadge state={query.data.state} />}
        {context !== null && <Actions {...context} />}
      </div>
      <PageTabs label={`Cluster ${visible(name)}`} tabs={tabsOf(name, query.data)} />
      <QueryNotice what="The cluster" query={query} nextAttemptAt={nextAttemptAt} />
      {context === null ? (
        !query.isError && <PageSkeleton />
      ) : (
        <Suspense fallback={<PageSkeleton />}>
          <Outlet context={context} />
        </Suspense>
      )}
      <Suspense fallback={null}>
        {context !== null && mayChange && panel.name === "configure-cluster" && panel.cluster === name && (
          <ConfigurePanel name={name} focusField={panel.focusField} onClose={panel.close} />
        )}
      </Suspense>
    </>
  );
}

function tabsOf(name: string, cluster: Cluster | undefined): Tab[] {
  const path = `/cluster/${encodeURIComponent(name)}`;
  return [
    { to: path, label: "Overview" },
    { to: `${path}/members`, label: "Members" },
    { to: `${path}/storage`, label: "Storage" },
    { to: `${path}/instances`, label: "Instances" },
    { to: `${path}/warnings`, label: "Warnings", badge: cluster?.warnings.length ?? 0 },
    { to: `${path}/history`, label: "History" },
  ];
}

function UnknownCluster({ name }: { name: string }) {
  return (
    <EmptyState title="Cluster not found" image={<SearchArt />} headingLevel={1}>
      <title>Cluster not found | MicroCloud Cluster Manager</title>
      <p>
        No cluster called <strong className="breakable">{visible(name)}</strong> is enrolled. It may have been removed.
      </p>
      <Link className="p-button" to="/clusters">
        All clusters
      </Link>
    </EmptyState>
  );
}

function Actions({ cluster, mayChange, configure }: ClusterContext) {
  const { name } = cluster;
  const client = useQueryClient();
  const navigate = useNavigate();
  const { toast } = useToasts();
  const { mayAdminister } = useRights();
  const [removing, setRemoving] = useState(false);
  const configuration = useQuery({ ...configurationQuery, enabled: false }).data;
  const lxd = safeUrl(cluster.ui_url);
  const metrics = metricsAddress(configuration?.["grafana_base_url"]?.value, name);

  const remove = async () => {
    await removeCluster(name);
    toast("positive", `Removed cluster ${visible(name)}.`);
    void client.invalidateQueries(fleetQuery);
    await navigate("/clusters");
  };
  return (
    <div className="page-head__actions">
      {mayChange && (
        <Button type="button" onClick={() => configure()}>
          Configure
        </Button>
      )}
      {lxd !== "" && (
        <a className="p-button" href={lxd} target="_blank" rel="noopener noreferrer">
          LXD UI
        </a>
      )}
      {metrics !== null && (
        <a className="p-button" href={metrics} target="_blank" rel="noopener noreferrer">
          Metrics
        </a>
      )}
      {mayAdminister && (
        <Button
          type="button"
          onClick={(event) => {
            if (event.shiftKey) remove().catch((error: unknown) => toast("negative", errorText(error)));
            else setRemoving(true);
          }}
        >
          Remove
        </Button>
      )}
      {removing && <RemoveDialog names={[name]} onConfirm={remove} onClose={() => setRemoving(false)} />}
    </div>
  );
}
