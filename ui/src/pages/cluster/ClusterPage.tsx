import classNames from "classnames";
import type { ReactNode } from "react";
import { Link, useParams } from "react-router";
import Notification from "@kit/Notifications/Notification";
import { ApiError } from "@/api/client";
import { clusterQuery } from "@/api/queries";
import type { Cluster, StatusCount } from "@/api/types";
import { SearchArt } from "@/components/art";
import { CopyButton } from "@/components/CopyButton";
import { EmptyState } from "@/components/EmptyState";
import { ErrorNotice } from "@/components/ErrorNotice";
import { NoRights } from "@/components/NoRights";
import { PageSkeleton } from "@/components/Skeleton";
import { StateBadge } from "@/components/StateBadge";
import { UsageBar } from "@/components/UsageBar";
import { useNowText } from "@/components/useNow";
import { useRefreshing } from "@/components/useRefreshing";
import { loadText, toRow, type Usage } from "@/lib/clusterRow";
import { count, number } from "@/lib/count";
import { dateTimeText, exactTimeText, parseTime } from "@/lib/dates";
import { sizeText } from "@/lib/size";
import { sinceText } from "@/lib/age";
import { warningText } from "@/lib/warnings";
import { PoolTable } from "./PoolTable";

/** One cluster: its four main figures, what runs on it, its warnings and its storage pools. */
export function ClusterPage() {
  const { name = "" } = useParams();
  const { query, forbidden, nextAttemptAt } = useRefreshing(clusterQuery(name));

  if (forbidden) return <NoRights />;
  if (query.error instanceof ApiError && query.error.status === 404) {
    return (
      <EmptyState title="Cluster not found" image={<SearchArt />} headingLevel={1}>
        <title>Cluster not found | MicroCloud Cluster Manager</title>
        <p>
          No cluster called <strong className="breakable">{name}</strong> is enrolled. It may have been removed.
        </p>
        <Link className="p-button" to="/clusters">
          All clusters
        </Link>
      </EmptyState>
    );
  }
  return (
    <>
      <title>{`${name} | MicroCloud Cluster Manager`}</title>
      <div className="page-head">
        <nav className="crumbs" aria-label="Breadcrumb">
          <Link to="/clusters">Clusters</Link>
          <span aria-hidden="true">/</span>
        </nav>
        <h1 className="p-heading--4 page-head__title breakable">{name}</h1>
        {query.data !== undefined && <LxdLink cluster={query.data} />}
      </div>
      {query.isError && (
        <ErrorNotice
          title={`The cluster could not be ${query.data === undefined ? "loaded" : "refreshed"}`}
          error={query.error}
          busy={query.isFetching}
          onRetry={() => void query.refetch()}
          {...(nextAttemptAt === undefined ? {} : { nextAttemptAt })}
        />
      )}
      {query.data !== undefined ? <Details cluster={query.data} /> : !query.isError && <PageSkeleton />}
    </>
  );
}

function LxdLink({ cluster }: { cluster: Cluster }) {
  const { uiUrl } = toRow(cluster);
  if (uiUrl === "") return null;
  return (
    <a className="p-button page-head__action" href={uiUrl} target="_blank" rel="noopener noreferrer">
      LXD UI
    </a>
  );
}

function Details({ cluster }: { cluster: Cluster }) {
  const row = toRow(cluster);
  const old = row.state === "offline" || row.state === "stale";
  const { figures } = row;
  return (
    <>
      <div className={classNames("facts", { "is-old": old })}>
        <Fact label="Since last heartbeat" note={<StateBadge state={row.state} />}>
          {row.heartbeatAt === null ? "–" : <SinceHeartbeat at={row.heartbeatAt} />}
        </Fact>
        <CapacityFact label="Total memory" of={figures?.memory ?? null} threshold={cluster.memory_threshold} />
        <CapacityFact label="Total storage" of={figures?.storage ?? null} threshold={0}>
          {figures?.fullestPool && (
            <>
              Fullest: {figures.fullestPool.name}
              {figures.fullestPool.member !== "" && ` on ${figures.fullestPool.member}`},{" "}
              {Math.ceil(figures.fullestPool.percent)} %
            </>
          )}
        </CapacityFact>
        <Fact label="CPU load" note={figures === null ? "" : "over 1, 5 and 15 minutes, sum of all members"}>
          {loadText(figures) ?? "–"}
        </Fact>
      </div>
      {old && (
        <p className="u-text--muted">The figures are as of {exactTimeText(row.heartbeatAt)}, the last heartbeat.</p>
      )}
      <div className="columns">
        <StatusBlock title={count(figures?.members ?? 0, "member")} statuses={figures?.memberStatuses ?? []} />
        <StatusBlock title={count(figures?.instances ?? 0, "instance")} statuses={figures?.instanceStatuses ?? []} />
        <section className="block">
          <h2 className="p-heading--5">
            {cluster.warnings.length === 0 ? "No warnings" : count(cluster.warnings.length, "warning")}
          </h2>
          {cluster.warnings.map((warning) => (
            <Notification key={warningText(warning)} severity="caution" className="u-no-margin--bottom">
              {warningText(warning)}
            </Notification>
          ))}
        </section>
      </div>
      <PoolTable pools={cluster.storage_pool_usages} threshold={cluster.disk_threshold} />
      <section className="block">
        <h2 className="p-heading--5">About</h2>
        <dl className="about">
          <dt>Description</dt>
          <dd className="breakable">{cluster.description === "" ? "–" : cluster.description}</dd>
          <dt>Joined</dt>
          <dd>{dateTimeText(parseTime(cluster.joined_at))}</dd>
          <dt>Tunnel</dt>
          <dd>{cluster.tunnel_registered ? "Tunnel registered" : "Tunnel not available"}</dd>
          <dt>Certificate fingerprint</dt>
          <dd className="about__copy">
            <code className="breakable">{cluster.certificate_fingerprint}</code>
            <CopyButton text={cluster.certificate_fingerprint} label="Copy fingerprint" appearance="base" />
          </dd>
        </dl>
      </section>
    </>
  );
}

function SinceHeartbeat({ at }: { at: number }) {
  const since = useNowText((now) => sinceText(at, now));
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTimeText(at)}>
      {since}
    </time>
  );
}

function Fact({ label, note, children }: { label: string; note?: ReactNode; children: ReactNode }) {
  return (
    <section className="fact">
      <h2 className="fact__label">{label}</h2>
      <div className="fact__value">{children}</div>
      <div className="fact__note">{note}</div>
    </section>
  );
}

interface CapacityProps {
  label: string;
  of: Usage | null;
  threshold: number;
  children?: ReactNode;
}

function CapacityFact({ label, of, threshold, children }: CapacityProps) {
  return (
    <Fact label={label} note={children ?? (of === null ? "" : `Threshold ${threshold} %`)}>
      {of === null ? (
        "–"
      ) : (
        <UsageBar percent={of.percent} threshold={threshold}>
          {sizeText(of.used)} <span className="cell-of">of {sizeText(of.total)}</span>
        </UsageBar>
      )}
    </Fact>
  );
}

function StatusBlock({ title, statuses }: { title: string; statuses: readonly StatusCount[] }) {
  const total = statuses.reduce((all, one) => all + one.count, 0);
  return (
    <section className="block">
      <h2 className="p-heading--5">{title}</h2>
      {total === 0 && <p className="u-text--muted">None reported</p>}
      <ul className="status-list">
        {statuses.map(({ status, count: n }) => (
          <li key={status}>
            <span>{status}</span>
            <b>{number(n)}</b>
            <span className="u-text--muted">{total === 0 ? 0 : Math.floor((n / total) * 100)} %</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
