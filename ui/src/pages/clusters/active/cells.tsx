import { useQuery } from "@tanstack/react-query";
import Icon from "@kit/Icon";
import { clusterQuery, REFRESH_MS } from "@/api/queries";
import type { Cluster, StatusCount } from "@/api/types";
import { Age } from "@/components/Age";
import { StateBadge } from "@/components/StateBadge";
import { Tip } from "@/components/Tip";
import { UsageBar } from "@/components/UsageBar";
import { useNowText } from "@/components/useNow";
import type { Usage } from "@/lib/clusterRow";
import { number } from "@/lib/count";
import { dateTimeText, exactTimeText, shortTimeText } from "@/lib/dates";
import { INSTANCE_STATUSES, isOld, MEMBER_STATUSES, type FleetFigures, type FleetRow } from "@/lib/fleetRow";
import { sizeText } from "@/lib/size";
import { visible } from "@/lib/visible";
import { warningKindText } from "@/lib/warningKinds";
import { warningText } from "@/lib/warnings";

/** Nothing known: a dash for the eye, words for the ear. */
export function Unknown() {
  return (
    <span className="u-text--muted">
      <span aria-hidden="true">–</span>
      <span className="u-off-screen">not known</span>
    </span>
  );
}

export function StatusCell({ row }: { row: FleetRow }) {
  return (
    <>
      <StateBadge state={row.state} />
      <SeenNote row={row} />
    </>
  );
}

/** `seen 42 s ago`; for a cluster that was never heard of, how long ago it joined. */
export function SeenNote({ row }: { row: FleetRow }) {
  return (
    <span className="cell-note">
      <Age at={row.heartbeatAt ?? row.joinedAt} prefix={row.heartbeatAt === null ? "joined" : "seen"} />
    </span>
  );
}

/** The time of the last heartbeat; for clusters that fell silent it says that the figures are from then. */
export function HeartbeatCell({ row }: { row: FleetRow }) {
  const at = row.heartbeatAt;
  const text = useNowText((now) => (at === null ? "" : shortTimeText(at, now)));
  if (at === null) return <Unknown />;
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTimeText(at)}>
      {isOld(row.state) ? `as of ${text}` : text}
    </time>
  );
}

export function JoinedCell({ row }: { row: FleetRow }) {
  return <time dateTime={new Date(row.joinedAt).toISOString()}>{dateTimeText(row.joinedAt)}</time>;
}

export function MembersCell({ name, figures }: { name: string; figures: FleetFigures | null }) {
  if (figures === null) return <Unknown />;
  const { members, membersNotOnline, memberStatuses } = figures;
  const counted = countLines(MEMBER_STATUSES, memberStatuses);
  return (
    <Tip
      message={
        <DetailLines name={name} lines={(cluster) => statusLines(cluster.member_statuses)} meanwhile={counted} />
      }
    >
      {(describedBy) => (
        <span className="cell-number" tabIndex={0} aria-describedby={describedBy}>
          {membersNotOnline === 0 ? number(members) : `${number(members - membersNotOnline)} of ${number(members)}`}
        </span>
      )}
    </Tip>
  );
}

export function InstancesCell({ name, figures }: { name: string; figures: FleetFigures | null }) {
  if (figures === null) return <Unknown />;
  const counted = countLines(INSTANCE_STATUSES, figures.instanceStatuses);
  return (
    <Tip
      message={
        <DetailLines name={name} lines={(cluster) => statusLines(cluster.instance_statuses)} meanwhile={counted} />
      }
    >
      {(describedBy) => (
        <span className="cell-number" tabIndex={0} aria-describedby={describedBy}>
          {number(figures.running)} <span className="cell-of">of {number(figures.instances)}</span>
        </span>
      )}
    </Tip>
  );
}

const statusLines = (statuses: readonly StatusCount[]) =>
  statuses.map(({ status, count }) => `${visible(status)} (${number(count)})`);

/** What the row itself knows, until the details are there. */
const countLines = <S extends string>(statuses: readonly S[], counts: Record<S, number>) =>
  statuses.map((status) => `${status.charAt(0).toUpperCase()}${status.slice(1)} (${number(counts[status])})`);

/** Lines of a tooltip out of the details of a cluster, which are only asked for when somebody looks. */
function DetailLines({
  name,
  lines,
  meanwhile = [],
}: {
  name: string;
  lines: (cluster: Cluster) => string[];
  meanwhile?: readonly string[];
}) {
  const { data, isError } = useQuery({ ...clusterQuery(name), staleTime: REFRESH_MS });
  const found = data === undefined ? meanwhile : lines(data);
  if (found.length > 0) {
    return found.map((line, at) => (
      <span key={at} className="tip-line">
        {line}
      </span>
    ));
  }
  if (data !== undefined) return "None";
  return isError ? "The details could not be loaded." : "Loading…";
}

export function LoadCell({ figures }: { figures: FleetFigures | null }) {
  const load = figures?.load ?? null;
  if (load === null) return <Unknown />;
  return (
    <span className="cell-number" title="CPU load over one minute, sum of all members">
      {load.toFixed(2)}
    </span>
  );
}

/** Memory or storage: how full, and of how much. */
export function UsageCell({ of, threshold }: { of: Usage | null | undefined; threshold: number }) {
  if (!of) return <Unknown />;
  return (
    <UsageBar percent={of.percent} threshold={threshold} title={`${sizeText(of.used)} of ${sizeText(of.total)}`}>
      {Math.ceil(of.percent)} % <span className="cell-of">of {sizeText(of.total)}</span>
    </UsageBar>
  );
}

/** The fullest pool: a sum over all pools would hide it. */
export function PoolCell({ row }: { row: FleetRow }) {
  const pool = row.figures?.pool ?? null;
  if (pool === null) return <Unknown />;
  const storage = row.figures?.storage;
  const all = storage ? `. All pools: ${sizeText(storage.used)} of ${sizeText(storage.total)}` : "";
  return (
    <UsageBar
      percent={pool.percent}
      threshold={row.thresholds.disk}
      title={`Fullest pool: ${visible(pool.name)}, ${Math.ceil(pool.percent)} %${all}`}
    >
      {Math.ceil(pool.percent)} % <span className="cell-of">{visible(pool.name)}</span>
    </UsageBar>
  );
}

/** The number of warnings; the texts appear on hover, on focus and on click. */
export function WarningsCell({ row }: { row: FleetRow }) {
  const { name, warnings } = row;
  if (warnings.length === 0) return <span className="warning-count is-zero">0</span>;
  const kinds = [...new Set(warnings)].map(warningKindText);
  return (
    <Tip message={<DetailLines name={name} lines={(cluster) => cluster.warnings.map(warningText)} meanwhile={kinds} />}>
      {(describedBy) => (
        <button type="button" className="warning-count" aria-describedby={describedBy}>
          <Icon name="warning" aria-hidden="true" />
          {number(warnings.length)}{" "}
          <span className="u-off-screen">
            {warnings.length === 1 ? "warning" : "warnings"} of {visible(name)}
          </span>
        </button>
      )}
    </Tip>
  );
}
