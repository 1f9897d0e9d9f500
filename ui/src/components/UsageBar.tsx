import classNames from "classnames";
import type { ReactNode } from "react";
import Icon from "@kit/Icon";

const CRITICAL_PERCENT = 95;

interface Props {
  /** 0 to 100. */
  percent: number;
  /** Percent from which it counts as too full; 0 for none. */
  threshold: number;
  /** The text that says it all; the bar only repeats it. */
  children: ReactNode;
  title?: string;
}

/** Text over a bar with a tick at the threshold: amber from there on, red from 95 %. */
export function UsageBar({ percent, threshold, children, title }: Props) {
  const over = threshold > 0 && percent > threshold;
  const className = classNames("usage", { "is-over": over, "is-critical": over && percent >= CRITICAL_PERCENT });
  return (
    <span className={className} title={title}>
      <span className="usage__text">
        {over && <Icon name="warning">{`Over the threshold of ${threshold} %`}</Icon>}
        {children}
      </span>
      <span className="usage__track" aria-hidden="true">
        <span className="usage__fill" style={{ width: `${Math.min(100, percent)}%` }} />
        {threshold > 0 && <span className="usage__tick" style={{ left: `${threshold}%` }} />}
      </span>
    </span>
  );
}
