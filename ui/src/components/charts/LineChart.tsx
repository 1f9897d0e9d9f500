import { useEffect, useId, useMemo, useRef, useState } from "react";
import { exactTimeText } from "@/lib/dates";
import type { Series } from "@/lib/series";
import { useIsDark } from "../useIsDark";
import type { PlotLine } from "./plot";

interface Props {
  title: string;
  /** One entry per line of the series. */
  lines: readonly PlotLine[];
  series: Series;
  format: (value: number) => string;
  /** Seconds since the epoch. */
  from: number;
  to: number;
  most?: number;
  height?: number;
  /** Leaves out the table, where another place has the same figures in words. */
  small?: boolean;
}

/**
 * Lines over time, with their newest values in words and all values as a table for those who do not see the drawing.
 *
 * The library that draws is loaded when the first chart appears.
 */
export function LineChart({ title, lines, series, format, from, to, most, height = 180, small = false }: Props) {
  const id = useId();
  const canvas = useRef<HTMLDivElement>(null);
  const dark = useIsDark();
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    const into = canvas.current;
    if (into === null || series.times.length === 0) return;
    let gone = false;
    let end: (() => void) | undefined;
    import("./plot").then(
      ({ drawPlot }) => {
        if (gone) return;
        const drawn = drawPlot(into, {
          times: series.times,
          values: series.lines,
          lines,
          format,
          from,
          to,
          height,
          most,
        });
        const observer = new ResizeObserver(drawn.resize);
        observer.observe(into);
        end = () => {
          observer.disconnect();
          drawn.destroy();
        };
      },
      () => setFailed(true),
    );
    return () => {
      gone = true;
      end?.();
    };
    // The colours come from the theme.
  }, [series, lines, format, from, to, height, most, dark]);

  const newest = lines.map(({ label }, index) => {
    const last = series.lines[index]?.findLast((value) => value !== null);
    return { label, text: last == null ? "–" : format(last) };
  });
  const empty = series.times.length === 0;
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption className="chart__head">
        <span className="chart__title" id={id}>
          {title}
        </span>
        <ul className="chart__legend">
          {lines.map((line, index) => (
            <li key={line.label}>
              <i
                className={line.dashed === true ? "chart__mark is-dashed" : "chart__mark"}
                style={{ color: `var(${line.colour})` }}
                aria-hidden="true"
              />
              {line.label} <b>{newest[index]?.text}</b>
            </li>
          ))}
        </ul>
      </figcaption>
      {empty || failed ? (
        <p className="chart__empty u-text--muted" style={{ minHeight: height }}>
          {failed ? "The drawing could not be loaded; the table has the values." : "Nothing was recorded in this time."}
        </p>
      ) : (
        <div
          className="chart__canvas"
          role="img"
          aria-label={`${title}, newest values: ${newest.map(({ label, text }) => `${label} ${text}`).join(", ")}`}
          ref={canvas}
          style={{ minHeight: height }}
        />
      )}
      {!empty && !small && <ValueTable title={title} lines={lines} series={series} format={format} />}
    </figure>
  );
}

/** The values in words; drawn only while it is open, since it may have hundreds of rows. */
function ValueTable({ title, lines, series, format }: Pick<Props, "title" | "lines" | "series" | "format">) {
  const [open, setOpen] = useState(false);
  const rows = useMemo(() => series.times.map((_, index) => index).reverse(), [series]);
  return (
    <details className="chart__table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Table of values</summary>
      {open && (
        <div className="chart__scroll" tabIndex={0} role="region" aria-label={`Values: ${title}`}>
          <table aria-label={title}>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {lines.map(({ label }) => (
                  <th key={label} scope="col">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((index) => (
                <tr key={index}>
                  <th scope="row">{exactTimeText((series.times[index] ?? 0) * 1000)}</th>
                  {lines.map(({ label }, line) => {
                    const value = series.lines[line]?.[index] ?? null;
                    return <td key={label}>{value === null ? "no heartbeat" : format(value)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
