import { Link } from "react-router";
import { actorText, recentAuditQuery } from "@/api/audit";
import { Age } from "@/components/Age";
import { QueryNotice } from "@/components/QueryNotice";
import { SkeletonLines } from "@/components/Skeleton";
import { useRefreshing } from "@/components/useRefreshing";
import { parseTime } from "@/lib/dates";
import { visible } from "@/lib/visible";

/** What happened last, and by whom. */
export function RecentEvents() {
  const { query, forbidden } = useRefreshing(recentAuditQuery);
  if (forbidden) return null;
  return (
    <section className="block overview__events">
      <h2 className="p-heading--5">
        <Link to="/audit">Recent events</Link>
      </h2>
      {query.data !== undefined ? (
        query.data.length === 0 ? (
          <p className="u-text--muted">Nothing has been recorded yet.</p>
        ) : (
          <ul className="events">
            {query.data.map((record) => {
              const { id, event, object } = record;
              const time = parseTime(record.at);
              return (
                <li key={id}>
                  <span className="events__text">
                    <b>{visible(event)}</b>
                    {object !== "" && <span className="breakable"> {visible(object)}</span>}
                    <span className="u-text--muted"> by {visible(actorText(record))}</span>
                  </span>
                  {time !== null && <Age at={time} />}
                </li>
              );
            })}
          </ul>
        )
      ) : query.isError ? (
        <QueryNotice what="The events" query={query} />
      ) : (
        <SkeletonLines lines={4} />
      )}
    </section>
  );
}
