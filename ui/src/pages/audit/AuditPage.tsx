import { useInfiniteQuery } from "@tanstack/react-query";
import { useDeferredValue } from "react";
import Button from "@kit/Button";
import { actorText, auditQuery, type AuditRecord } from "@/api/audit";
import { ApiError } from "@/api/client";
import { SearchArt } from "@/components/art";
import { EmptyState } from "@/components/EmptyState";
import { NoRights } from "@/components/NoRights";
import { QueryNotice } from "@/components/QueryNotice";
import { SkeletonLines } from "@/components/Skeleton";
import { useAddress } from "@/components/useAddress";
import { auditDetails } from "@/lib/auditDetails";
import { count } from "@/lib/count";
import { exactTimeText, parseTime } from "@/lib/dates";
import { visible } from "@/lib/visible";

const FILTERS = [
  ["event", "Event"],
  ["actor", "Actor"],
  ["object", "Object"],
] as const;

/** Who did what and when: the audit records, the newest first. */
export function AuditPage() {
  const [params, change] = useAddress();
  const filter = {
    event: useDeferredValue(params.get("event") ?? ""),
    actor: useDeferredValue(params.get("actor") ?? ""),
    object: useDeferredValue(params.get("object") ?? ""),
  };
  const query = useInfiniteQuery(auditQuery(filter));
  if (query.error instanceof ApiError && query.error.status === 403) return <NoRights />;
  const records = query.data?.pages.flatMap((page) => page.records) ?? [];
  const filtered = Object.values(filter).some((text) => text !== "");
  return (
    <>
      <title>Audit | MicroCloud Cluster Manager</title>
      <div className="page-head">
        <h1 className="p-heading--4 page-head__title">Audit</h1>
      </div>
      <form className="audit-filter" role="search" onSubmit={(event) => event.preventDefault()}>
        {FILTERS.map(([key, label]) => (
          <label key={key}>
            <span>{label}</span>
            <input
              type="search"
              value={params.get(key) ?? ""}
              onChange={(event) => change({ [key]: event.target.value === "" ? null : event.target.value }, true)}
            />
          </label>
        ))}
      </form>
      <QueryNotice what="The audit records" query={query} />
      {query.data === undefined ? (
        !query.isError && (
          <div role="status" aria-label="Loading the audit records">
            <SkeletonLines lines={10} />
          </div>
        )
      ) : records.length === 0 ? (
        <EmptyState title={filtered ? "No records match" : "No audit records yet"} image={<SearchArt />}>
          {filtered && (
            <Button type="button" onClick={() => change({ event: null, actor: null, object: null })}>
              Clear filters
            </Button>
          )}
        </EmptyState>
      ) : (
        <>
          <p className="toolbar__count" role="status">
            {count(records.length, "record")} shown{query.hasNextPage ? ", more to come" : ""}
          </p>
          <Records records={records} />
          {query.hasNextPage && (
            <Button type="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              Show more
            </Button>
          )}
        </>
      )}
    </>
  );
}

function Records({ records }: { records: readonly AuditRecord[] }) {
  return (
    <table className="plain-table audit-table" aria-label="Audit records">
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Event</th>
          <th scope="col">Object</th>
          <th scope="col">Actor</th>
          <th scope="col">Source</th>
          <th scope="col">Outcome</th>
          <th scope="col">Details</th>
        </tr>
      </thead>
      <tbody>
        {records.map((record) => (
          <tr key={record.id}>
            <td>
              <time dateTime={record.at}>{exactTimeText(parseTime(record.at))}</time>
            </td>
            <th scope="row">{visible(record.event)}</th>
            <td className="breakable" data-label="Object">
              {visible(record.object)}
            </td>
            <td className="breakable" data-label="Actor" title={visible(record.actor)}>
              {visible(actorText(record))}
            </td>
            <td className="breakable" data-label="Source">
              {visible(record.source)}
            </td>
            <td data-label="Outcome">{visible(record.outcome)}</td>
            <td className="breakable" data-label="Details">
              {visible(auditDetails(record.details))}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
