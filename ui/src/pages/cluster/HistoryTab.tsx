import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { clusterHistoryQuery } from "@/api/fleet";
import type { ClusterHistory, ClusterPoint } from "@/api/types";
import { LineChart } from "@/components/charts/LineChart";
import { QueryNotice } from "@/components/QueryNotice";
import { RangeSwitch } from "@/components/RangeSwitch";
import { SkeletonLines } from "@/components/Skeleton";
import { useRefreshing } from "@/components/useRefreshing";
import { durationText } from "@/lib/age";
import { dateTimeText } from "@/lib/dates";
import { parseRange, type Range } from "@/lib/ranges";
import { laterStart, toSeries } from "@/lib/series";
import { percentText, plainNumberText, sizeText, wholeText } from "@/lib/size";
import { useClusterContext } from "./context";

const DEFAULT: Range = "24h";
const POOL_COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];

/** What a cluster was like: memory, storage, load, instances, members and heartbeats over time. */
export function HistoryTab() {
  const { cluster } = useClusterContext();
  const [params, setParams] = useSearchParams();
  const range = parseRange(params.get("range"), DEFAULT);
  const { query, nextAttemptAt } = useRefreshing(clusterHistoryQuery(cluster.name, range));
  const late = query.data === undefined ? null : laterStart(query.data);
  const setRange = (next: Range) =>
    setParams((before) => {
      const after = new URLSearchParams(before);
      if (next === DEFAULT) after.delete("range");
      else after.set("range", next);
      return after;
    });
  return (
    <>
      <div className="toolbar">
        <p className="toolbar__count" role="status">
          {query.data !== undefined && `One point for every ${durationText(query.data.step_seconds)}`}
          {late !== null && `, no values before ${dateTimeText(late.first * 1000)}`}
        </p>
        <RangeSwitch label="Time that the charts show" range={range} onChange={setRange} />
      </div>
      <QueryNotice what="The history" query={query} nextAttemptAt={nextAttemptAt} />
      {query.data !== undefined ? (
        <Charts history={query.data} begin={late?.begin} />
      ) : (
        !query.isError && (
          <div role="status" aria-label="Loading the history">
            <SkeletonLines lines={12} />
          </div>
        )
      )}
    </>
  );
}

const MEMORY = [
  { label: "used", colour: "--chart-1" },
  { label: "peak", colour: "--chart-2", dashed: true },
  { label: "total", colour: "--muted", dashed: true },
];
const LOAD = [
  { label: "average", colour: "--chart-1" },
  { label: "peak", colour: "--chart-2", dashed: true },
];
const INSTANCES = [{ label: "instances", colour: "--chart-1" }];
const MEMBERS = [{ label: "members", colour: "--chart-1" }];
const HEARTBEATS = [{ label: "heartbeats", colour: "--chart-1" }];

function Charts({ history, begin }: { history: ClusterHistory; begin: number | undefined }) {
  const { points, step_seconds: step } = history;
  const [from, to] = [begin ?? Date.parse(history.from) / 1000, Date.parse(history.to) / 1000];
  const series = useMemo(() => {
    const make = (...values: ((point: ClusterPoint) => number | null)[]) => toSeries(points, step, values);
    const pools = [...new Set(points.flatMap((point) => Object.keys(point.storage)))].sort();
    const shown = pools.slice(0, POOL_COLOURS.length);
    return {
      memory: make(
        (point) => point.memory.avg,
        (point) => point.memory.max,
        (point) => point.memory_total,
      ),
      load: make(
        (point) => point.load?.avg ?? null,
        (point) => point.load?.max ?? null,
      ),
      instances: make((point) => point.instances.avg),
      members: make((point) => point.members.avg),
      heartbeats: make((point) => point.heartbeats),
      storage: make(...shown.map((pool) => (point: ClusterPoint) => point.storage[pool]?.avg ?? null)),
      pools: shown.map((pool, index) => ({ label: pool, colour: POOL_COLOURS[index] ?? "--chart-1" })),
      hidden: pools.length - shown.length,
    };
  }, [points, step]);
  const common = { from, to };
  return (
    <div className="charts">
      <LineChart title="Memory" lines={MEMORY} series={series.memory} format={sizeText} {...common} />
      <LineChart
        title={series.hidden > 0 ? `Storage pools (without ${series.hidden} more)` : "Storage pools"}
        lines={series.pools}
        series={series.storage}
        format={percentText}
        most={100}
        {...common}
      />
      <LineChart title="CPU load" lines={LOAD} series={series.load} format={plainNumberText} {...common} />
      <LineChart title="Instances" lines={INSTANCES} series={series.instances} format={wholeText} {...common} />
      <LineChart title="Members" lines={MEMBERS} series={series.members} format={wholeText} {...common} />
      <LineChart
        title={`Heartbeats in ${durationText(step)}`}
        lines={HEARTBEATS}
        series={series.heartbeats}
        format={plainNumberText}
        {...common}
      />
    </div>
  );
}
