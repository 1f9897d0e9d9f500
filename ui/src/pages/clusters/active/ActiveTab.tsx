import { useQueryClient } from "@tanstack/react-query";
import classNames from "classnames";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import Button from "@kit/Button";
import { clustersQuery, removeCluster } from "@/api/queries";
import { ClustersArt, SearchArt } from "@/components/art";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { ErrorNotice, errorText } from "@/components/ErrorNotice";
import { useMedia } from "@/components/focus";
import { NoRights } from "@/components/NoRights";
import { RefreshControl } from "@/components/RefreshControl";
import { SkeletonLines } from "@/components/Skeleton";
import { useToasts } from "@/components/Toasts";
import { useRefreshing } from "@/components/useRefreshing";
import { useSortInAddress } from "@/components/useSortInAddress";
import type { ClusterRow } from "@/lib/clusterRow";
import { count, number } from "@/lib/count";
import { matches, searchWords } from "@/lib/search";
import { useClustersContext } from "../context";
import { clusterColumns, DEFAULT_SORT } from "./columns";
import { DensitySwitch, ROW_HEIGHTS, useDensity } from "./DensitySwitch";
import { RemoveDialog } from "./RemoveDialog";
import { SummaryBand, SummarySkeleton } from "./SummaryBand";

const NOTHING: ClusterRow[] = [];
const OLD = new Set(["stale", "offline"]);

/** The list of enrolled clusters. */
export function ActiveTab() {
  const { onEnrol } = useClustersContext();
  const [paused, setPaused] = useState(false);
  const { query, forbidden, nextAttemptAt } = useRefreshing(clustersQuery, paused);
  const [removing, setRemoving] = useState<string | null>(null);
  const remove = useRemove();
  const [density, setDensity] = useDensity();
  const phone = useMedia("(max-width: 619.98px)");

  const onRemove = useCallback(
    (name: string, skipQuestion: boolean) => {
      if (skipQuestion) void remove.withoutQuestion(name);
      else setRemoving(name);
    },
    [remove],
  );
  const columns = useMemo(() => clusterColumns(onRemove), [onRemove]);
  const sortable = useMemo(() => columns.filter((one) => one.compare !== undefined).map((one) => one.id), [columns]);
  const [sort, setSort] = useSortInAddress(sortable, DEFAULT_SORT);

  const [params, setParams] = useSearchParams();
  const search = useDeferredValue(params.get("query") ?? "");
  const rows = query.data ?? NOTHING;
  const found = useMemo(() => {
    const words = searchWords(search);
    return words.length === 0 ? rows : rows.filter((row) => matches(row.searchText, words));
  }, [rows, search]);

  if (forbidden) return <NoRights />;

  const notice = query.isError && (
    <ErrorNotice
      title={query.data === undefined ? "The clusters could not be loaded" : "The clusters could not be refreshed"}
      error={query.error}
      busy={query.isFetching}
      onRetry={() => void query.refetch()}
      {...(nextAttemptAt === undefined ? {} : { nextAttemptAt })}
    />
  );
  const searching = search.trim() !== "";

  return (
    <>
      <title>Clusters | MicroCloud Cluster Manager</title>
      {notice}
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
          <Button type="button" appearance="positive" onClick={onEnrol}>
            Enroll cluster
          </Button>
        </EmptyState>
      ) : (
        <>
          <SummaryBand rows={rows} />
          <div className="toolbar">
            <p className="toolbar__count" role="status">
              {searching
                ? `${count(found.length, "cluster matches", "clusters match")} (of ${number(rows.length)})`
                : `Showing all ${count(rows.length, "active cluster")}`}
            </p>
            <RefreshControl
              updatedAt={query.dataUpdatedAt}
              busy={query.isFetching}
              paused={paused}
              onPause={setPaused}
              onRefresh={() => void query.refetch()}
            />
            <DensitySwitch density={density} onChange={setDensity} />
          </div>
          {found.length === 0 ? (
            <EmptyState title="No clusters match" image={<SearchArt />}>
              <p>Nothing has all of these words in its name or description.</p>
              <Button
                type="button"
                onClick={() =>
                  setParams((before) => {
                    const after = new URLSearchParams(before);
                    after.delete("query");
                    return after;
                  })
                }
              >
                Clear search
              </Button>
            </EmptyState>
          ) : (
            <DataTable
              label="Clusters"
              className={classNames("clusterlist-table", `is-${density}`)}
              columns={columns}
              rows={found}
              rowKey={(row) => row.name}
              rowClassName={(row) => (OLD.has(row.state) ? "is-old" : undefined)}
              rowHeight={phone ? ROW_HEIGHTS.phone : ROW_HEIGHTS[density]}
              sort={sort}
              onSort={setSort}
            />
          )}
        </>
      )}
      {removing !== null && (
        <RemoveDialog name={removing} onConfirm={() => remove.now(removing)} onClose={() => setRemoving(null)} />
      )}
    </>
  );
}

/** Removes a cluster and says so; the list is asked for again. */
function useRemove() {
  const client = useQueryClient();
  const { toast } = useToasts();
  return useMemo(() => {
    const now = async (name: string) => {
      await removeCluster(name);
      client.setQueryData(clustersQuery.queryKey, (before) => before?.filter((row) => row.name !== name));
      toast("positive", `Removed cluster ${name}.`);
      void client.invalidateQueries(clustersQuery);
    };
    const withoutQuestion = (name: string) => now(name).catch((error: unknown) => toast("negative", errorText(error)));
    return { now, withoutQuestion };
  }, [client, toast]);
}
