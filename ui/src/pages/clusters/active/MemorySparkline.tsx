import { useQuery } from "@tanstack/react-query";
import { clusterHistoryQuery } from "@/api/fleet";
import { sparklinePath, toSeries } from "@/lib/series";
import { Unknown } from "./cells";

const WIDTH = 100;
const HEIGHT = 22;
const STALE_MS = 5 * 60_000;

/** The memory of the last 24 hours, drawn small. It is asked for row by row, since only the rows on screen are drawn. */
export function MemorySparkline({ name }: { name: string }) {
  const { data } = useQuery({ ...clusterHistoryQuery(name, "24h"), staleTime: STALE_MS });
  if (data === undefined) return <span className="sparkline" aria-hidden="true" />;
  const { lines } = toSeries(data.points, data.step_seconds, [
    (point) => (point.memory_total > 0 ? (point.memory.avg / point.memory_total) * 100 : null),
  ]);
  const values = lines[0] ?? [];
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return <Unknown />;
  const [low, high] = [Math.floor(Math.min(...known)), Math.ceil(Math.max(...known))];
  return (
    <svg
      className="sparkline"
      viewBox={`-1 -1 ${WIDTH + 2} ${HEIGHT + 2}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Memory in 24 hours: ${low} to ${high} %`}
    >
      <title>{`Memory in 24 hours: ${low} to ${high} %`}</title>
      <path d={sparklinePath(values, WIDTH, HEIGHT)} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
