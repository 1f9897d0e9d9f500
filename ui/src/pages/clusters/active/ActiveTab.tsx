import { useQuery, useQueryClient } from "@tanstack/react-query";
import classNames from "classnames";
import { lazy, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import Button from "@kit/Button";
import { fleetQuery } from "@/api/fleet";
import { detailsQuery, removeCluster } from "@/api/queries";
import { serverNow } from "@/api/serverClock";
import { ClustersArt, SearchArt } from "@/components/art";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { errorText } from "@/components/ErrorNotice";
import { ExportMenu } from "@/components/ExportMenu";
import { useMedia } from "@/components/focus";
import { NoRights } from "@/components/NoRights";
import { usePaused } from "@/components/pause";
import { QueryNotice } from "@/components/QueryNotice";
import { RefreshControl } from "@/components/RefreshControl";
import { RemoveDialog } from "@/components/RemoveDialog";
import { useSelection } from "@/components/selection";
import { SkeletonLines } from "@/components/Skeleton";
import { useToasts } from "@/components/Toasts";
import { useAddress } from "@/components/useAddress";
import { usePanel } from "@/components/usePanel";
import { useRefreshing } from "@/components/useRefreshing";
import { useRights } from "@/components/useRights";
import { useSortInAddress } from "@/components/useSortInAddress";
import { EXPORTED } from "@/lib/exporting";
import { toPredicate } from "@/lib/filter";
import { isOld, type FleetRow } from "@/lib/fleetRow";
import { needsDetails, parseQuery } from "@/lib/grammar";
import { visible } from "@/lib/visible";
import { useClustersContext } from "../context";
import { BulkBar } from "./bulk/BulkBar";
import { useBulk } from "./bulk/useBulk";
import { clusterColumns, DEFAULT_SORT, SORTABLE, USUAL } from "./columns";
import { DensitySwitch, ROW_HEIGHTS, useDensity } from "./DensitySwitch";
import { ColumnsMenu, FilterMenu, PageControl, ViewsMenu } from "./ListTools";
import { ListCount } from "./ListCount";
import { SummaryBand, SummarySkeleton } from "./SummaryBand";
import { useColumns, useModernAddress, usePaging } from "./useListAddress";

const ConfigurePanel = lazy(() => import("@/pages/configure/ConfigurePanel"));
const BulkConfigurePanel = lazy(() => import("./bulk/BulkConfigurePanel"));

const NOTHING: FleetRow[] = [];

/** The list of enrolled clusters. */
export function ActiveTab() {
  const { onEnrol } = useClustersContext();
  useModernAddress();
  const [paused, setPaused] = usePaused();
  const { query, forbidden, nextAttemptAt } = useRefreshing(fleetQuery, paused);
  const rows = query.data ?? NOTHING;
  const { found, searching, problems, loadingDetails } = useSearch(rows);

  const { mayChange, mayAdminister } = useRights();
  const [selection, selected] = useSelection();
  useEffect(() => {
    if (query.data !== undefined) selection.keepOnly(new Set(query.data.map(({ name }) => name)));
  }, [query.data, selection]);

  const panel = usePanel();
  const [removing, setRemoving] = useState<readonly string[] | null>(null);
  const remove = useRemove();
  const bulk = useBulk(selection.set);
  const locked = panel.name !== null || removing !== null || bulk.job?.running === true;

  const [density, setDensity] = useDensity();
  const phone = useMedia("(max-width: 619.98px)");
  const [shown, setShown] = useColumns();
  const [sort, setSort] = useSortInAddress(SORTABLE, DEFAULT_SORT);
  const paging = usePaging(found.length);

  const onRemove = useCallback(
    (name: string, skipQuestion: boolean) => {
      if (skipQuestion) void remove.withoutQuestion(name);
      else setRemoving([name]);
    },
    [remove],
  );
  const { open } = panel;
  const onConfigure = useCallback((name: string) => open("configure-cluster", { cluster: name }), [open]);
  const columns = useMemo(
    () =>
      clusterColumns({
        shown,
        selection: mayChange && !phone ? selection : null,
        selectable: found.map(({ name }) => name),
        locked,
        onConfigure,
        onRemove,
      }),
    [shown, mayChange, phone, selection, found, locked, onConfigure, onRemove],
  );
  const exported = () => {
    const byName = new Map(found.map((row) => [row.name, row]));
    return selection.order().flatMap((name) => byName.get(name) ?? []);
  };

  if (forbidden) return <NoRights />;

  return (
    <>
      <title>Clusters | MicroCloud Cluster Manager</title>
      <QueryNotice what="The clusters" query={query} nextAttemptAt={nextAttemptAt} />
      {query.data === undefined ? (
        !query.isError && (
          <div role="status" aria-label="Loading the clusters">
            <SummarySkeleton />
            <SkeletonLines lines={12} />
          </div>
        )
      ) : rows.length === 0 ? (
        <EmptyState title="No active clusters found" image={<ClustersArt />}>
          <p>Enrol a MicroCloud: create a join token here, then run the command it comes with on the cluster.</p>
          {mayChange && (
            <Button type="button" appearance="positive" onClick={onEnrol}>
              Enroll cluster
            </Button>
          )}
        </EmptyState>
      ) : (
        <>
          <SummaryBand rows={rows} />
          <BulkBar bulk={bulk} />
          <div className="toolbar">
            <ListCount
              total={rows.length}
              found={found}
              searching={searching}
              loading={loadingDetails}
              selected={selected}
              locked={locked}
              onSelect={selection.set}
              onConfigure={() => panel.open("configure-cluster-bulk")}
              onRemove={
                mayAdminister
                  ? (skipQuestion) => {
                      const names = [...selected];
                      if (skipQuestion) bulk.start({ action: "remove" }, names);
                      else setRemoving(names);
                    }
                  : null
              }
            />
            <RefreshControl
              updatedAt={query.dataUpdatedAt}
              busy={query.isFetching}
              paused={paused}
              onPause={setPaused}
              onRefresh={() => void query.refetch()}
            />
            <div className="toolbar__tools">
              <FilterMenu />
              <ViewsMenu />
              <ColumnsMenu shown={shown} onChange={setShown} />
              <ExportMenu file="clusters" columns={EXPORTED} rows={exported} />
              <DensitySwitch density={density} onChange={setDensity} />
            </div>
          </div>
          {problems.length > 0 && (
            <p className="search-problem" role="alert">
              {problems.join(" ")}
            </p>
          )}
          {found.length === 0 ? (
            !loadingDetails && <NothingMatches />
          ) : (
            <>
              <DataTable
                label="Clusters"
                className={classNames("clusterlist-table", `is-${density}`, { "is-wide": shown.length > USUAL.length })}
                columns={columns}
                rows={found}
                rowKey={(row) => row.name}
                rowClassName={(row) =>
                  classNames({ "is-old": isOld(row.state), "is-selected": selected.has(row.name) }) || undefined
                }
                rowHeight={phone ? ROW_HEIGHTS.phone : ROW_HEIGHTS[density]}
                sort={sort}
                onSort={setSort}
                page={paging.size === null ? null : { index: paging.index, size: paging.size }}
                onOrder={selection.setOrder}
              />
              {rows.length > MOST_WITHOUT_PAGES && <PageControl paging={paging} />}
            </>
          )}
        </>
      )}
      {removing !== null && (
        <RemoveDialog
          names={removing}
          onConfirm={async () => {
            const [only] = removing;
            if (removing.length === 1 && only !== undefined) await remove.now(only);
            else bulk.start({ action: "remove" }, removing);
          }}
          onClose={() => setRemoving(null)}
        />
      )}
      <Suspense fallback={null}>
        {mayChange && panel.name === "configure-cluster" && panel.cluster !== null && (
          <ConfigurePanel name={panel.cluster} focusField={panel.focusField} onClose={panel.close} />
        )}
        {panel.name === "configure-cluster-bulk" && selected.size > 0 && (
          <BulkConfigurePanel
            clusters={rows.filter(({ name }) => selected.has(name))}
            onSave={(changes) => bulk.start({ action: "edit", changes }, [...selected])}
            onClose={panel.close}
          />
        )}
      </Suspense>
    </>
  );
}

/** So few rows need no pages. */
const MOST_WITHOUT_PAGES = 50;

/** The rows that the search in the address finds, and what is wrong with it. */
function useSearch(rows: FleetRow[]) {
  const [params] = useAddress();
  const text = useDeferredValue(params.get("query") ?? "");
  const { terms, problems } = useMemo(() => parseQuery(text), [text]);
  const wanted = needsDetails(terms);
  const details = useQuery({ ...detailsQuery, enabled: wanted });
  const found = useMemo(
    () => (terms.length === 0 ? rows : rows.filter(toPredicate(terms, { now: serverNow(), details: details.data }))),
    [rows, terms, details.data],
  );
  return { found, problems, searching: terms.length > 0, loadingDetails: wanted && details.isPending };
}

function NothingMatches() {
  const [, change] = useAddress();
  return (
    <EmptyState title="No clusters match" image={<SearchArt />}>
      <p>No cluster has everything that the search asks for.</p>
      <Button type="button" onClick={() => change({ query: null, page: null })}>
        Clear search
      </Button>
    </EmptyState>
  );
}

/** Removes a cluster and says so; the list is asked for again. */
function useRemove() {
  const client = useQueryClient();
  const { toast } = useToasts();
  return useMemo(() => {
    const now = async (name: string) => {
      await removeCluster(name);
      client.setQueryData(fleetQuery.queryKey, (before) => before?.filter((row) => row.name !== name));
      toast("positive", `Removed cluster ${visible(name)}.`);
      void client.invalidateQueries(fleetQuery);
    };
    const withoutQuestion = (name: string) => now(name).catch((error: unknown) => toast("negative", errorText(error)));
    return { now, withoutQuestion };
  }, [client, toast]);
}
