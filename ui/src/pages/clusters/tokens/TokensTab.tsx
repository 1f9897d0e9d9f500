import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import Button from "@kit/Button";
import Icon from "@kit/Icon";
import { revokeToken, tokensQuery } from "@/api/queries";
import type { JoinToken } from "@/api/types";
import { TokenArt } from "@/components/art";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { errorText } from "@/components/ErrorNotice";
import { useMedia } from "@/components/focus";
import { NoRights } from "@/components/NoRights";
import { QueryNotice } from "@/components/QueryNotice";
import { SkeletonLines } from "@/components/Skeleton";
import { useToasts } from "@/components/Toasts";
import { useNow } from "@/components/useNow";
import { useRefreshing } from "@/components/useRefreshing";
import { useRights } from "@/components/useRights";
import { useSortInAddress } from "@/components/useSortInAddress";
import { count } from "@/lib/count";
import { tokenState } from "@/lib/tokenState";
import { visible } from "@/lib/visible";
import { useClustersContext } from "../context";
import { DEFAULT_SORT, SORTABLE, tokenColumns } from "./columns";
import { RevokeDialog } from "./RevokeDialog";
import { revokeAll } from "./revokeAll";

const NOTHING: JoinToken[] = [];
const ROW_HEIGHT = { wide: 40, phone: 72 };

/** The join tokens that no cluster has used yet. */
export function TokensTab() {
  const { onEnrol } = useClustersContext();
  const { mayChange } = useRights();
  const { query, forbidden, nextAttemptAt } = useRefreshing(tokensQuery);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<string[] | null>(null);
  const [sort, setSort] = useSortInAddress(SORTABLE, DEFAULT_SORT);
  const phone = useMedia("(max-width: 619.98px)");
  const revoke = useRevoke(setSelected);
  const rows = query.data ?? NOTHING;

  // Names that are gone leave the selection.
  const chosen = useMemo(
    () => rows.map((token) => token.cluster_name).filter((name) => selected.has(name)),
    [rows, selected],
  );
  const now = useNow();
  const expired = rows.filter((token) => tokenState(token, now) === "expired").map((token) => token.cluster_name);

  const onRevoke = useCallback(
    (name: string, skipQuestion: boolean) => {
      if (skipQuestion) void revoke.withoutQuestion([name]);
      else setAsking([name]);
    },
    [revoke],
  );
  const columns = useMemo(
    () => tokenColumns({ sort, rows, selected, onSelect: setSelected, onRevoke: mayChange ? onRevoke : null }),
    [sort, rows, selected, mayChange, onRevoke],
  );

  if (forbidden) return <NoRights />;
  return (
    <>
      <title>Tokens | MicroCloud Cluster Manager</title>
      <QueryNotice what="The tokens" query={query} nextAttemptAt={nextAttemptAt} />
      {query.data === undefined ? (
        !query.isError && (
          <div role="status" aria-label="Loading the tokens">
            <SkeletonLines lines={6} />
          </div>
        )
      ) : rows.length === 0 ? (
        <EmptyState title="No tokens found" image={<TokenArt />}>
          <p>A join token lets one MicroCloud join. It is gone from this list as soon as it was used.</p>
          {mayChange && (
            <Button type="button" appearance="positive" onClick={onEnrol}>
              Enroll cluster
            </Button>
          )}
        </EmptyState>
      ) : (
        <>
          <div className="toolbar">
            {chosen.length === 0 ? (
              <p className="toolbar__count" role="status">
                {count(rows.length, "token")}
              </p>
            ) : (
              <div className="toolbar__selection">
                <p className="toolbar__count" role="status">
                  {count(chosen.length, "token")} selected
                </p>
                <Button
                  type="button"
                  dense
                  hasIcon
                  onClick={(event) => (event.shiftKey ? void revoke.withoutQuestion(chosen) : setAsking([...chosen]))}
                >
                  <Icon name="delete" />
                  <span>{chosen.length === 1 ? "Revoke token" : "Revoke tokens"}</span>
                </Button>
                <button type="button" className="p-button--link" onClick={() => setSelected(new Set())}>
                  Clear selection
                </button>
              </div>
            )}
            {mayChange && chosen.length === 0 && expired.length > 0 && (
              <Button type="button" dense onClick={() => setAsking(expired)}>
                Revoke all expired
              </Button>
            )}
          </div>
          <DataTable
            label="Join tokens"
            className="token-table"
            columns={columns}
            rows={rows}
            rowKey={(token) => token.cluster_name}
            rowClassName={(token) => (selected.has(token.cluster_name) ? "is-selected" : undefined)}
            rowHeight={phone ? ROW_HEIGHT.phone : ROW_HEIGHT.wide}
            sort={sort}
            onSort={setSort}
          />
        </>
      )}
      {asking !== null && (
        <RevokeDialog names={asking} onConfirm={() => revoke.now(asking)} onClose={() => setAsking(null)} />
      )}
    </>
  );
}

/** Revokes tokens and says so; the list is asked for again, whatever happened. */
function useRevoke(onSelect: (selected: ReadonlySet<string>) => void) {
  const client = useQueryClient();
  const { toast } = useToasts();
  return useMemo(() => {
    const now = async (names: readonly string[]) => {
      const { failed, reason } = await revokeAll(names, revokeToken);
      const gone = names.filter((name) => !failed.includes(name));
      client.setQueryData(tokensQuery.queryKey, (before) => before?.filter((one) => !gone.includes(one.cluster_name)));
      void client.invalidateQueries(tokensQuery);
      onSelect(new Set(failed.length > 1 ? failed : []));
      if (gone.length === 1) toast("positive", `Revoked token ${visible(gone[0] ?? "")}.`);
      if (gone.length > 1) toast("positive", `Revoked ${count(gone.length, "token")}.`);
      if (failed.length > 0 && names.length === 1) throw reason;
      if (failed.length > 0) throw new Error(`Not revoked: ${visible(failed.join(", "))}. ${errorText(reason)}`);
    };
    const withoutQuestion = (names: readonly string[]) =>
      now(names).catch((error: unknown) => toast("negative", errorText(error)));
    return { now, withoutQuestion };
  }, [client, toast, onSelect]);
}
