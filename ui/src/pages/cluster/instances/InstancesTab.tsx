import { useDeferredValue, useEffect, useMemo, useState } from "react";
import SearchBox from "@kit/SearchBox";
import { ApiError } from "@/api/client";
import { keyOf, type Instance, type InstanceList } from "@/api/lxd";
import { instancesQuery, type InstanceAction } from "@/api/tunnel";
import { LockArt, SearchArt } from "@/components/art";
import { CopyButton } from "@/components/CopyButton";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { ErrorNotice, errorText } from "@/components/ErrorNotice";
import { ExportMenu } from "@/components/ExportMenu";
import { useMedia } from "@/components/focus";
import { usePaused } from "@/components/pause";
import { RefreshControl } from "@/components/RefreshControl";
import { useSelection } from "@/components/selection";
import { SkeletonLines } from "@/components/Skeleton";
import { useAddress } from "@/components/useAddress";
import { useRefreshing } from "@/components/useRefreshing";
import { useSortInAddress } from "@/components/useSortInAddress";
import { count, number } from "@/lib/count";
import { fold, matches, searchWords } from "@/lib/search";
import { useClusterContext } from "../context";
import { ConfirmAction } from "./ConfirmAction";
import { DEFAULT_SORT, exportColumns, instanceColumns, SORTABLE } from "./columns";
import { JobBar } from "./JobBar";
import { ACTION_LABELS, actionsFor } from "./labels";
import { useInstanceJobs } from "./useInstanceJobs";

/** Where the member answers: how to turn its tunnel on. */
const TURN_ON = "microcloud cluster-manager set reverse_tunnel true";
const ROW_HEIGHT = { wide: 40, phone: 56 };
const NOTHING: InstanceList = { instances: [], leftOut: 0 };

/** The instances of the cluster, as its LXD lists them through the tunnel. */
export function InstancesTab() {
  const { cluster, mayChange } = useClusterContext();
  if (!cluster.tunnel_registered) return <NoTunnel />;
  return mayChange ? <Listed /> : <OnlyOperators />;
}

/** Requests through a tunnel are for operators: the server would refuse this person's. */
function OnlyOperators() {
  return (
    <EmptyState title="Instances are for operators" image={<LockArt />}>
      <p>
        The cluster keeps a tunnel open, but your role only allows you to see the fleet. Ask an administrator for the
        role of an operator to list, start and stop instances.
      </p>
    </EmptyState>
  );
}

function NoTunnel() {
  return (
    <EmptyState title="No tunnel to this cluster" image={<SearchArt />}>
      <p>
        Its instances can be listed, started and stopped from here once the cluster keeps a tunnel open. Turn it on with
        this command on any of its members:
      </p>
      <pre className="join-dialog__command" tabIndex={0} aria-label="Command that turns the tunnel on">
        <code>{TURN_ON}</code>
      </pre>
      <CopyButton text={TURN_ON} label="Copy command" />
    </EmptyState>
  );
}

function Listed() {
  const { cluster } = useClusterContext();
  const [paused, setPaused] = usePaused();
  const { query, nextAttemptAt } = useRefreshing(instancesQuery(cluster.name), paused);
  const [params, change] = useAddress();
  const text = params.get("query") ?? "";
  const search = useDeferredValue(text);
  const { instances: rows, leftOut } = query.data ?? NOTHING;
  const found = useMemo(() => {
    const words = searchWords(search);
    return rows.filter((row) =>
      matches(fold(`${row.name} ${row.project} ${row.type} ${row.status} ${row.location}`), words),
    );
  }, [rows, search]);

  const [selection, selected] = useSelection();
  useEffect(() => {
    if (query.data !== undefined) selection.keepOnly(new Set(query.data.instances.map(keyOf)));
  }, [query.data, selection]);
  const jobs = useInstanceJobs(cluster.name);
  const [asking, setAsking] = useState<{ action: InstanceAction; instances: Instance[] } | null>(null);
  const busy = jobs.job?.running === true;
  const begin = useMemo(
    () => (action: InstanceAction, instances: Instance[]) => {
      if (action === "stop" || action === "restart") setAsking({ action, instances });
      else jobs.start(action, instances, false);
    },
    [jobs],
  );

  const phone = useMedia("(max-width: 619.98px)");
  const [sort, setSort] = useSortInAddress(SORTABLE, DEFAULT_SORT);
  const columns = useMemo(
    () =>
      instanceColumns({
        selection: phone ? null : selection,
        selectable: found.map(keyOf),
        locked: busy,
        onAction: (action, instance) => begin(action, [instance]),
      }),
    [phone, selection, found, busy, begin],
  );

  if (query.error instanceof ApiError && [401, 403].includes(query.error.status) && query.data === undefined) {
    return <NotAccepted message={errorText(query.error)} />;
  }
  const chosen = rows.filter((row) => selected.has(keyOf(row)));
  return (
    <>
      {query.isError && (
        <ErrorNotice
          title={
            query.error instanceof ApiError && query.error.status === 504
              ? "The cluster did not answer in time"
              : "The instances could not be loaded"
          }
          error={query.error}
          busy={query.isFetching}
          onRetry={() => void query.refetch()}
          {...(nextAttemptAt === undefined ? {} : { nextAttemptAt })}
        />
      )}
      <JobBar jobs={jobs} />
      {leftOut > 0 && (
        <p className="u-text--muted">
          {count(leftOut, "entry", "entries")} of the cluster’s answer could not be read and{" "}
          {leftOut === 1 ? "is" : "are"} left out.
        </p>
      )}
      {query.data === undefined ? (
        !query.isError && (
          <div role="status" aria-label="Loading the instances">
            <SkeletonLines lines={8} />
          </div>
        )
      ) : rows.length === 0 ? (
        <EmptyState title="No instances" image={<SearchArt />}>
          <p>This cluster has no instances, or your account may not see any of them.</p>
        </EmptyState>
      ) : (
        <>
          <div className="toolbar">
            <form role="search" className="toolbar__search" onSubmit={(event) => event.preventDefault()}>
              <SearchBox
                externallyControlled
                autocomplete="off"
                placeholder="Search instances"
                shouldBlurOnSearch={false}
                value={text}
                onChange={(typed: string) => change({ query: typed === "" ? null : typed }, true)}
              />
            </form>
            {chosen.length === 0 ? (
              <p className="toolbar__count" role="status">
                {search.trim() === ""
                  ? count(rows.length, "instance")
                  : `${count(found.length, "instance matches", "instances match")} (of ${number(rows.length)})`}
              </p>
            ) : (
              <div className="toolbar__selection">
                <p className="toolbar__count" role="status">
                  {number(chosen.length)} selected
                </p>
                {actionsFor(chosen.map(({ status }) => status)).map((action) => (
                  <button
                    key={action}
                    type="button"
                    className="p-button is-dense"
                    disabled={busy}
                    onClick={() => begin(action, chosen)}
                  >
                    {ACTION_LABELS[action]}
                  </button>
                ))}
                <button type="button" className="p-button--link" onClick={selection.clear}>
                  Clear selection
                </button>
              </div>
            )}
            <RefreshControl
              updatedAt={query.dataUpdatedAt}
              busy={query.isFetching}
              paused={paused}
              onPause={setPaused}
              onRefresh={() => void query.refetch()}
            />
            <ExportMenu
              file={`instances-${cluster.name.replace(/[^\w.-]/g, "_")}`}
              columns={exportColumns}
              rows={() => found}
            />
          </div>
          {found.length === 0 ? (
            <EmptyState title="No instances match" image={<SearchArt />}>
              <button type="button" className="p-button" onClick={() => change({ query: null })}>
                Clear search
              </button>
            </EmptyState>
          ) : (
            <DataTable
              label="Instances"
              className="instance-table"
              columns={columns}
              rows={found}
              rowKey={keyOf}
              rowClassName={(row) => (selected.has(keyOf(row)) ? "is-selected" : undefined)}
              rowHeight={phone ? ROW_HEIGHT.phone : ROW_HEIGHT.wide}
              sort={sort}
              onSort={setSort}
              onOrder={selection.setOrder}
            />
          )}
        </>
      )}
      {asking !== null && (
        <ConfirmAction
          {...asking}
          onConfirm={(force) => {
            jobs.start(asking.action, asking.instances, force);
            selection.clear();
          }}
          onClose={() => setAsking(null)}
        />
      )}
    </>
  );
}

/** LXD's own refusal: our login is fine, the cluster does not know the account. */
function NotAccepted({ message }: { message: string }) {
  return (
    <EmptyState title="This MicroCloud does not accept your account" image={<LockArt />}>
      <p>
        You are logged in to the Cluster Manager, but the LXD of this cluster refused the request: {message} It decides
        by itself who may do what.
      </p>
      <p>
        On the cluster, LXD needs the same identity provider (<code>oidc.issuer</code>, <code>oidc.client.id</code>,{" "}
        <code>oidc.audience</code>) and a group with permissions for your account. The Cluster Manager passes your login
        on only when its setting <code>tunnel-forward-access-token</code> is on.
      </p>
    </EmptyState>
  );
}
