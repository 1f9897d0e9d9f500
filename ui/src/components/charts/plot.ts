import uPlot from "uplot";
import { axisTimeText } from "@/lib/dates";
import { sizeText, wholeText } from "@/lib/size";
import "uplot/dist/uPlot.min.css";

const powers = (base: number, count: number) => Array.from({ length: count }, (_, n) => base ** n);

/** Steps of the axis whose texts are round: 16 GiB and 32 GiB, 1 and 2 clusters. Other values take what fits. */
const STEPS = new Map<(value: number) => string, number[]>([
  [sizeText, powers(2, 63)],
  [wholeText, powers(10, 12).flatMap((power) => [power, 2 * power, 5 * power])],
]);

export interface PlotLine {
  label: string;
  /** A custom property of the style sheet. */
  colour: string;
  dashed?: boolean;
}

interface Options {
  times: readonly number[];
  values: readonly (readonly (number | null)[])[];
  lines: readonly PlotLine[];
  format: (value: number) => string;
  /** Seconds since the epoch: the whole span is drawn, also where there are no points. */
  from: number;
  to: number;
  height: number;
  /** The highest value of the axis; the data decide without it. */
  most?: number | undefined;
}

/** Draws lines over time into an element. Gives what takes them away again. */
export function drawPlot(into: HTMLElement, options: Options): { resize: () => void; destroy: () => void } {
  const { times, values, lines, format, from, to, height, most } = options;
  const steps = STEPS.get(format);
  const style = getComputedStyle(into);
  const colour = (name: string) => style.getPropertyValue(name).trim() || "#666";
  const text = colour("--muted");
  const grid = colour("--track");
  const font = `12px ${style.fontFamily}`;
  const width = () => Math.max(160, into.clientWidth);
  const plot = new uPlot(
    {
      width: width(),
      height,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      // At the right, half of the last time below the axis has to have room.
      padding: [8, 20, 0, 0],
      scales: {
        x: { time: true, range: [from, to] },
        y: { range: (_plot, _low, high) => [0, most ?? (high > 0 ? high * 1.08 : 1)] },
      },
      axes: [
        {
          stroke: text,
          font,
          grid: { stroke: grid, width: 1 },
          ticks: { stroke: grid, width: 1 },
          space: 90,
          size: 34,
          values: (_plot, splits) => splits.map((at) => axisTimeText(at * 1000, to - from)),
        },
        {
          stroke: text,
          font,
          grid: { stroke: grid, width: 1 },
          ticks: { show: false },
          size: 72,
          space: 34,
          values: (_plot, splits) => splits.map((value) => format(value)),
          ...(steps === undefined ? {} : { incrs: steps }),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, dashed }) => ({
          label,
          stroke: colour(name),
          width: 2,
          spanGaps: false,
          points: { show: times.length < 3 },
          ...(dashed === true ? { dash: [4, 4], width: 1 } : {}),
        })),
      ],
    },
    [times as number[], ...values] as uPlot.AlignedData,
    into,
  );
  return {
    resize: () => plot.setSize({ width: width(), height }),
    destroy: () => plot.destroy(),
  };
}
