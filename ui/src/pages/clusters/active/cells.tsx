import Icon from "@kit/Icon";
import type { ClusterState, StatusCount } from "@/api/types";
import { Age } from "@/components/Age";
import { StateBadge } from "@/components/StateBadge";
import { Tip } from "@/components/Tip";
import { UsageBar } from "@/components/UsageBar";
import { useNowText } from "@/components/useNow";
import { loadText, type ClusterRow, type Figures } from "@/lib/clusterRow";
import { count, number } from "@/lib/count";
import { exactTimeText, shortTimeText } from "@/lib/dates";
import { sizeText } from "@/lib/size";
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

export function StatusCell({ row }: { row: ClusterRow }) {
  return (
    <>
      <StateBadge state={row.state} />
      <SeenNote row={row} />
    </>
  );
}

/** `seen 42 s ago`; for a cluster that was never heard of, how long ago it joined. */
export function SeenNote({ row }: { row: ClusterRow }) {
  const at = row.heartbeatAt ?? row.joinedAt;
  if (at === null) return null;
  return (
    <span className="cell-note">
      <Age at={at} prefix={row.heartbeatAt === null ? "joined" : "seen"} />
    </span>
  );
}

const OLD: readonly ClusterState[] = ["stale", "offline"];

/** The time of the last heartbeat; for clusters that fell silent it says that the figures are from then. */
export function HeartbeatCell({ row }: { row: ClusterRow }) {
  const at = row.heartbeatAt;
  const text = useNowText((now) => (at === null ? "" : shortTimeText(at, now)));
  if (at === null) return <Unknown />;
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTimeText(at)}>
      {OLD.includes(row.state) ? `as of ${text}` : text}
    </time>
  );
}

export function MembersCell({ figures }: { figures: Figures | null }) {
  if (figures === null) return <Unknown />;
  const { members, membersOnline, memberStatuses } = figures;
  return (
    <Tip message={statusList(memberStatuses)}>
      <span className="cell-number">
        {membersOnline === members ? number(members) : `${number(membersOnline)} of ${number(members)}`}
      </span>
    </Tip>
  );
}

export function InstancesCell({ figures }: { figures: Figures | null }) {
  if (figures === null) return <Unknown />;
  return (
    <Tip message={statusList(figures.instanceStatuses)}>
      <span className="cell-number">
        {number(figures.running)} <span className="cell-of">of {number(figures.instances)}</span>
      </span>
    </Tip>
  );
}

function statusList(statuses: readonly StatusCount[]) {
  if (statuses.length === 0) return "None";
  return statuses.map(({ status, count: n }) => (
    <span key={status} className="tip-line">
      {status} ({number(n)})
    </span>
  ));
}

export function LoadCell({ figures }: { figures: Figures | null }) {
  const all = loadText(figures);
  if (all === null) return <Unknown />;
  return (
    <span className="cell-number" title={`Load over 1, 5 and 15 minutes, sum of all members: ${all}`}>
      {figures?.load[0]?.toFixed(2) ?? "–"}
    </span>
  );
}

export function MemoryCell({ figures }: { figures: Figures | null }) {
  const memory = figures?.memory ?? null;
  if (figures === null || memory === null) return <Unknown />;
  return (
    <UsageBar
      percent={memory.percent}
      threshold={figures.memoryThreshold}
      title={`${sizeText(memory.used)} of ${sizeText(memory.total)}`}
    >
      {Math.ceil(memory.percent)} % <span className="cell-of">of {sizeText(memory.total)}</span>
    </UsageBar>
  );
}

/** The fullest pool: a sum would hide it. The sum is in the tooltip, and on the page of the cluster. */
export function DiskCell({ figures }: { figures: Figures | null }) {
  const pool = figures?.fullestPool ?? null;
  if (figures === null || pool === null || figures.storage === null) return <Unknown />;
  const where = pool.member === "" ? pool.name : `${pool.name} on ${pool.member}`;
  const all = `${sizeText(figures.storage.used)} of ${sizeText(figures.storage.total)}`;
  return (
    <UsageBar
      percent={pool.percent}
      threshold={figures.diskThreshold}
      title={`Fullest pool: ${where}, ${sizeText(pool.used)} of ${sizeText(pool.total)}. ${count(figures.pools, "pool")}: ${all}`}
    >
      {Math.ceil(pool.percent)} % <span className="cell-of">{pool.name}</span>
    </UsageBar>
  );
}

/** The number of warnings; the texts appear on hover, on focus and on click. */
export function WarningsCell({ row }: { row: ClusterRow }) {
  const { warnings } = row;
  if (warnings.length === 0) return <span className="u-text--muted">0</span>;
  const texts = warnings.map((warning) => warningText(warning));
  return (
    <Tip
      message={texts.map((text) => (
        <span key={text} className="tip-line">
          {text}
        </span>
      ))}
    >
      {(describedBy) => (
        <button type="button" className="warning-count" aria-describedby={describedBy}>
          <Icon name="warning" aria-hidden="true" />
          {number(warnings.length)}{" "}
          <span className="u-off-screen">
            {warnings.length === 1 ? "warning" : "warnings"} of {row.name}
          </span>
        </button>
      )}
    </Tip>
  );
}
