import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import { fleetHistoryQuery, fleetQuery, summaryQuery } from "@/api/fleet";
import type { FleetHistory, FleetPoint } from "@/api/types";
import { tokensQuery } from "@/api/queries";
import { serverNow } from "@/api/serverClock";
import { ClustersArt } from "@/components/art";
import { LineChart } from "@/components/charts/LineChart";
import { EmptyState } from "@/components/EmptyState";
import { HealthMap } from "@/components/HealthMap";
import { KioskIcon } from "@/components/icons";
import { NoRights } from "@/components/NoRights";
import { usePaused } from "@/components/pause";
import { QueryNotice } from "@/components/QueryNotice";
import { RangeSwitch } from "@/components/RangeSwitch";
import { RefreshControl } from "@/components/RefreshControl";
import { PageSkeleton, SkeletonLines } from "@/components/Skeleton";
import { useAddress } from "@/components/useAddress";
import { useRefreshing } from "@/components/useRefreshing";
import { useRights } from "@/components/useRights";
import { dateTimeText } from "@/lib/dates";
import { parseRange, type Range } from "@/lib/ranges";
import { laterStart, toSeries } from "@/lib/series";
import { sizeText, wholeText } from "@/lib/size";
import { tokenState } from "@/lib/tokenState";
import { Capacity, Counts, TopLists } from "./facts";
import { RecentEvents } from "./RecentEvents";

const DEFAULT: Range = "24h";
const OFFERED: readonly Range[] = ["24h", "7d"];
const NOTHING = [] as const;

/** The whole fleet on one screen, also for a display on the wall (`?kiosk=1`). */
export function OverviewPage() {
  const [paused, setPaused] = usePaused();
  const [params, change] = useAddress();
  const kiosk = params.get("kiosk") === "1";
  const summary = useRefreshing(summaryQuery, paused);
  const fleet = useRefreshing(fleetQuery, paused);
  const { mayAdminister } = useRights();
  const { query } = summary;
  const tokens = useQuery(tokensQuery).data;
  const tokenCounts = useMemo(() => {
    const states = (tokens ?? []).map((token) => tokenState(token, serverNow()));
    const of = (state: string) => states.filter((one) => one === state).length;
    return { valid: of("valid") + of("soon"), soon: of("soon"), expired: of("expired") };
  }, [tokens]);

  if (summary.forbidden || fleet.forbidden) return <NoRights />;
  const rows = fleet.query.data ?? NOTHING;
  const failed = query.isError ? query : fleet.query.isError ? fleet.query : null;
  return (
    <>
      <title>Overview | MicroCloud Cluster Manager</title>
      <div className="page-head">
        <h1 className="p-heading--4 page-head__title">Overview</h1>
        <div className="page-head__actions">
          <RefreshControl
            updatedAt={query.dataUpdatedAt}
            busy={query.isFetching}
            paused={paused}
            onPause={setPaused}
            onRefresh={() => {
              void query.refetch();
              void fleet.query.refetch();
            }}
          />
          <button
            type="button"
            className="p-button--base has-icon is-dense"
            onClick={() => change({ kiosk: kiosk ? null : "1" })}
          >
            <KioskIcon />
            <span>{kiosk ? "Leave the wall display" : "Wall display"}</span>
          </button>
        </div>
      </div>
      {failed !== null && <QueryNotice what="The fleet" query={failed} nextAttemptAt={summary.nextAttemptAt} />}
      {query.data === undefined ? (
        !query.isError && <PageSkeleton />
      ) : query.data.clusters.total === 0 ? (
        <EmptyState title="No active clusters found" image={<ClustersArt />}>
          <p>The overview shows the fleet as soon as the first MicroCloud has joined.</p>
          <Link className="p-button" to="/clusters?panel=enroll-cluster">
            Enrol a cluster
          </Link>
        </EmptyState>
      ) : (
        <div className="overview">
          <Counts summary={query.data} tokens={tokenCounts} />
          <section className="block overview__map">
            <h2 className="p-heading--5">Health</h2>
            {rows.length > 0 ? <HealthMap rows={rows} /> : <SkeletonLines lines={3} />}
          </section>
          <Capacity summary={query.data} />
          <TopLists summary={query.data} rows={rows} />
          <History />
          {mayAdminister && <RecentEvents />}
        </div>
      )}
    </>
  );
}

const INSTANCES = [{ label: "instances", colour: "--chart-1" }];
const MEMORY = [
  { label: "used", colour: "--chart-1" },
  { label: "total", colour: "--muted", dashed: true },
];
const CLUSTERS = [
  { label: "online", colour: "--chart-3" },
  { label: "with warnings", colour: "--chart-2" },
  { label: "all", colour: "--muted", dashed: true },
];

/** The fleet over time. */
function History() {
  const [params, change] = useAddress();
  const asked = parseRange(params.get("range"), DEFAULT);
  const range = OFFERED.includes(asked) ? asked : DEFAULT;
  const { query } = useRefreshing(fleetHistoryQuery(range));
  const late = query.data === undefined ? null : laterStart(query.data);
  return (
    <section className="block overview__history">
      <div className="toolbar">
        <h2 className="p-heading--5 toolbar__title">
          History{" "}
          {late !== null && (
            <small className="overview__since">no values before {dateTimeText(late.first * 1000)}</small>
          )}
        </h2>
        <RangeSwitch
          label="Time that the charts show"
          range={range}
          offered={OFFERED}
          onChange={(next) => change({ range: next === DEFAULT ? null : next })}
        />
      </div>
      {query.data !== undefined ? (
        <Charts history={query.data} begin={late?.begin} />
      ) : query.isError ? (
        <QueryNotice what="The history" query={query} />
      ) : (
        <SkeletonLines lines={4} />
      )}
    </section>
  );
}

function Charts({ history, begin }: { history: FleetHistory; begin: number | undefined }) {
  const { points, step_seconds: step } = history;
  const series = useMemo(() => {
    const make = (...values: ((point: FleetPoint) => number)[]) => toSeries(points, step, values);
    return {
      instances: make((point) => point.instances),
      memory: make(
        (point) => point.memory_used,
        (point) => point.memory_total,
      ),
      clusters: make(
        (point) => point.online,
        (point) => point.with_warnings,
        (point) => point.clusters,
      ),
    };
  }, [points, step]);
  const common = { from: begin ?? Date.parse(history.from) / 1000, to: Date.parse(history.to) / 1000, height: 150 };
  return (
    <div className="overview__charts">
      <LineChart title="Instances" lines={INSTANCES} series={series.instances} format={wholeText} {...common} />
      <LineChart title="Memory" lines={MEMORY} series={series.memory} format={sizeText} {...common} />
      <LineChart title="Clusters" lines={CLUSTERS} series={series.clusters} format={wholeText} {...common} />
    </div>
  );
}
