import classNames from "classnames";
import { useCallback, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Link } from "react-router";
import { count, number } from "@/lib/count";
import type { FleetRow } from "@/lib/fleetRow";
import {
  groupByPrefix,
  HEALTH_LABELS,
  HEALTH_SIGNS,
  healthOf,
  HEALTHS,
  worstFirst,
  type HealthGroup,
} from "@/lib/health";
import { quoteTerm } from "@/lib/grammar";
import { visible } from "@/lib/visible";
import { Floating } from "./Floating";
import { Visible } from "./Visible";

/** Above this the squares stand for groups and not for clusters. */
const GROUPED_FROM = 400;

interface Props {
  rows: readonly FleetRow[];
  /** Shows so many squares at most, in one line. */
  strip?: number;
}

/** A square per cluster, the worst first. Arrow keys go from square to square, Enter opens the cluster. */
export function HealthMap({ rows, strip }: Props) {
  const grouped = strip === undefined && rows.length > GROUPED_FROM;
  if (grouped) return <Groups rows={rows} />;
  return <Squares rows={rows} strip={strip} />;
}

function Squares({ rows, strip }: { rows: readonly FleetRow[]; strip: number | undefined }) {
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const anchor = useRef<HTMLElement | null>(null);
  const [shown, setShown] = useState<FleetRow | null>(null);
  // One square takes the Tab key; the arrow keys move from there.
  const [current, setCurrent] = useState(0);
  const sorted = useMemo(() => {
    const all = worstFirst(rows);
    return strip === undefined ? all : all.slice(0, strip);
  }, [rows, strip]);
  const at = Math.min(current, sorted.length - 1);
  const hide = useCallback(() => setShown(null), []);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") hide();
    const cells = [...(list.current?.querySelectorAll<HTMLElement>("a") ?? [])];
    const perLine = cells.findIndex((cell) => cell.offsetTop !== cells[0]?.offsetTop);
    const line = perLine > 0 ? perLine : cells.length;
    const moves: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + line,
      ArrowUp: at - line,
      Home: 0,
      End: cells.length - 1,
    };
    const to = moves[event.key];
    const cell = to === undefined ? undefined : cells[to];
    if (to === undefined || cell === undefined) return;
    event.preventDefault();
    setCurrent(to);
    cell.focus();
  };

  return (
    <>
      <ul
        className={classNames("map", { "is-strip": strip !== undefined })}
        aria-label="Health of the clusters, the worst first"
        ref={list}
        onKeyDown={onKeyDown}
      >
        {sorted.map((row, index) => {
          const health = healthOf(row);
          const show = (element: HTMLElement) => {
            anchor.current = element;
            setShown(row);
          };
          return (
            <li key={row.name}>
              <Link
                to={`/cluster/${encodeURIComponent(row.name)}`}
                className={`map__cell is-${health}`}
                aria-label={label(row)}
                aria-describedby={shown === row ? id : undefined}
                tabIndex={index === at ? 0 : -1}
                onFocus={(event) => {
                  setCurrent(index);
                  show(event.currentTarget);
                }}
                onBlur={hide}
                onMouseEnter={(event) => show(event.currentTarget)}
                onMouseLeave={hide}
              >
                {HEALTH_SIGNS[health]}
              </Link>
            </li>
          );
        })}
      </ul>
      {shown !== null && (
        <Floating
          key={shown.name}
          anchor={anchor}
          placement="below"
          className="tip__message"
          id={id}
          role="tooltip"
          onClose={hide}
        >
          <span className="tip-line">
            <Visible text={shown.name} />
          </span>
          <span className="tip-line">
            {HEALTH_LABELS[healthOf(shown)]}
            {shown.warnings.length > 0 && `, ${count(shown.warnings.length, "warning")}`}
          </span>
        </Floating>
      )}
    </>
  );
}

function label(row: FleetRow): string {
  const warnings = row.warnings.length > 0 ? `, ${count(row.warnings.length, "warning")}` : "";
  return `${visible(row.name)}: ${HEALTH_LABELS[healthOf(row)]}${warnings}`;
}

function Groups({ rows }: { rows: readonly FleetRow[] }) {
  const groups = useMemo(() => groupByPrefix(rows), [rows]);
  return (
    <ul className="map-groups" aria-label="Health of the clusters by the beginning of their names">
      {groups.map((group) => (
        <li key={group.prefix} className="map-group">
          <GroupName group={group} />
          <span className="map-group__bar" aria-hidden="true">
            {HEALTHS.filter((health) => group.counts[health] > 0).map((health) => (
              <span key={health} className={`is-${health}`} style={{ flexGrow: group.counts[health] }} />
            ))}
          </span>
          <span className="map-group__text">
            {HEALTHS.filter((health) => health !== "ok" && group.counts[health] > 0)
              .map((health) => `${number(group.counts[health])} ${HEALTH_LABELS[health].toLowerCase()}`)
              .join(", ") || "No warnings"}
          </span>
        </li>
      ))}
    </ul>
  );
}

function GroupName({ group: { prefix, total } }: { group: HealthGroup }) {
  if (prefix === "") return <span className="map-group__name">others ({number(total)})</span>;
  const query = new URLSearchParams({ query: `name:${quoteTerm(prefix)}` });
  return (
    <Link className="map-group__name" to={`/clusters?${query}`}>
      <Visible text={prefix} /> ({number(total)})
    </Link>
  );
}
