import { StatusRing } from "@/components/StatusRing";
import { EmptyState } from "@/components/EmptyState";
import { SearchArt } from "@/components/art";
import { Visible } from "@/components/Visible";
import { toRow } from "@/lib/clusterRow";
import { count } from "@/lib/count";
import { membersOf } from "@/lib/poolMembers";
import { useClusterContext } from "./context";
import { PoolTable } from "./PoolTable";
import { WarningList } from "./WarningList";

/** The members by status, and those that the cluster names with their pools. */
export function MembersTab() {
  const { cluster } = useClusterContext();
  const { figures } = toRow(cluster);
  const members = membersOf(cluster.storage_pool_usages);
  if (figures === null) return <NothingYet what="members" />;
  return (
    <div className="columns">
      <StatusRing title={count(figures.members, "member")} of="members" statuses={figures.memberStatuses} />
      <section className="block">
        <h2 className="p-heading--5">Members with storage pools of their own</h2>
        {members.length === 0 ? (
          <p className="u-text--muted">All pools of this cluster are cluster wide.</p>
        ) : (
          <table className="plain-table" aria-label="Members">
            <thead>
              <tr>
                <th scope="col">Member</th>
                <th scope="col">Storage pools</th>
                <th scope="col">Fullest</th>
              </tr>
            </thead>
            <tbody>
              {members.map(({ name, pools, fullest }) => (
                <tr key={name}>
                  <th scope="row" className="breakable">
                    <Visible text={name} />
                  </th>
                  <td>{pools}</td>
                  <td>
                    <Visible text={fullest.pool} />, {fullest.percent} %
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </div>
  );
}

/** All storage pools. */
export function StorageTab() {
  const { cluster } = useClusterContext();
  return <PoolTable pools={cluster.storage_pool_usages} threshold={cluster.disk_threshold} heading />;
}

/** All warnings. */
export function WarningsTab() {
  const { cluster } = useClusterContext();
  return (
    <section className="block warning-page">
      <h2 className="p-heading--5">
        {cluster.warnings.length === 0 ? "No warnings" : count(cluster.warnings.length, "warning")}
      </h2>
      {cluster.warnings.length === 0 && (
        <p className="u-text--muted">
          Nothing is over its threshold ({cluster.memory_threshold} % of memory, {cluster.disk_threshold} % of a pool),
          and everything that reports is well.
        </p>
      )}
      <WarningList warnings={cluster.warnings} />
    </section>
  );
}

function NothingYet({ what }: { what: string }) {
  return (
    <EmptyState title={`No ${what} reported yet`} image={<SearchArt />}>
      <p>The figures come with the first heartbeat of the cluster.</p>
    </EmptyState>
  );
}
