/** Values over time for a chart: seconds since the epoch, and for each line a value or a gap. */
export interface Series {
  times: number[];
  lines: (number | null)[][];
}

/**
 * Points as lines. Where an interval has no point the line has a gap, so that nobody takes silence for a steady value.
 *
 * `stepSeconds` is the length of an interval; each of `values` makes one line.
 */
export function toSeries<P extends { at: string }>(
  points: readonly P[],
  stepSeconds: number,
  values: readonly ((point: P) => number | null)[],
): Series {
  const times: number[] = [];
  const lines: (number | null)[][] = values.map(() => []);
  let before: number | null = null;
  for (const point of points) {
    const at = Date.parse(point.at) / 1000;
    if (Number.isNaN(at)) continue;
    if (before !== null && at - before > stepSeconds * 1.5) {
      times.push(before + stepSeconds);
      lines.forEach((line) => line.push(null));
    }
    times.push(at);
    lines.forEach((line, index) => line.push(values[index]?.(point) ?? null));
    before = at;
  }
  return { times, lines };
}

/** So many intervals are drawn at least. */
const LEAST_INTERVALS = 12;

/**
 * Where charts begin, in seconds, when most of the span that was asked for is older than the first value: drawing all of it
 * would show a sliver at the right edge. Null where the whole span is drawn.
 */
export function laterStart({
  from,
  to,
  step_seconds: step,
  points,
}: {
  from: string;
  to: string;
  step_seconds: number;
  points: { at: string }[];
}): { begin: number; first: number } | null {
  const [start, end] = [Date.parse(from) / 1000, Date.parse(to) / 1000];
  const first = Date.parse(points[0]?.at ?? "") / 1000;
  if (Number.isNaN(first) || first - start < (end - start) / 2) return null;
  return { begin: Math.max(start, Math.min(first - step, end - LEAST_INTERVALS * step)), first };
}

/** An SVG path through the values, from left to right over the whole width; gaps interrupt it. */
export function sparklinePath(values: readonly (number | null)[], width: number, height: number): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "";
  const low = Math.min(...known);
  const high = Math.max(...known);
  const x = (index: number) => (values.length === 1 ? 0 : (index / (values.length - 1)) * width);
  const y = (value: number) => (high === low ? height / 2 : height - ((value - low) / (high - low)) * height);
  let pen = "M";
  const parts: string[] = [];
  values.forEach((value, index) => {
    if (value === null) {
      pen = "M";
      return;
    }
    parts.push(`${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`);
    pen = "L";
  });
  return parts.join("");
}
