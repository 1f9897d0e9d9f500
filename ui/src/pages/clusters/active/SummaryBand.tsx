import { useMemo, useState, type ReactNode } from "react";
import { Link } from "react-router";
import type { ClusterState } from "@/api/types";
import { HealthMap } from "@/components/HealthMap";
import { STATE_LABELS, StateIcon } from "@/components/StateBadge";
import { Visible } from "@/components/Visible";
import { read, write } from "@/lib/browserStorage";
import { number } from "@/lib/count";
import type { FleetRow } from "@/lib/fleetRow";
import { percentOf, sizeText } from "@/lib/size";
import { summarise } from "@/lib/summary";

/** States that are always shown, also when no cluster is in them. */
const ALWAYS: readonly ClusterState[] = ["online", "stale", "offline"];
const SOMETIMES: readonly ClusterState[] = ["waiting", "never"];

const KEY = "cluster-list-band";
const STRIP = 24;
const TOP = 5;

const listOf = (query: string) => `/clusters?${new URLSearchParams({ query })}`;

/** The whole fleet in a few lines; people may fold it away, and the browser remembers that. */
export function SummaryBand({ rows }: { rows: readonly FleetRow[] }) {
  const [open, setOpen] = useState(() => read(KEY) !== "closed");
  const toggle = () => {
    write(KEY, open ? "closed" : "open");
    setOpen(!open);
  };
  return (
    <section className={open ? "summary" : "summary is-closed"} aria-label="Fleet summary">
      {open && <Band rows={rows} />}
      <button type="button" className="summary__toggle" aria-expanded={open} onClick={toggle}>
        {open ? "Hide summary" : "Show summary"}
      </button>
    </section>
  );
}

function Band({ rows }: { rows: readonly FleetRow[] }) {
  const all = useMemo(() => summarise(rows), [rows]);
  const fullest = useMemo(
    () =>
      rows
        .filter(({ figures }) => figures?.memory != null)
        .sort((a, b) => (b.figures?.memory?.percent ?? 0) - (a.figures?.memory?.percent ?? 0))
        .slice(0, TOP),
    [rows],
  );
  const states = [...ALWAYS, ...SOMETIMES.filter((state) => all.states[state] > 0)];
  return (
    <>
      <div className="summary__facts">
        <Fact label="Clusters" value={number(all.clusters)} wide>
          <ul className="summary__states">
            {states.map((state) => (
              <li key={state} className={all.states[state] === 0 ? "is-zero" : undefined}>
                <Link to={listOf(`status:${state}`)}>
                  <StateIcon state={state} /> <b>{number(all.states[state])}</b> {STATE_LABELS[state].toLowerCase()}
                </Link>
              </li>
            ))}
          </ul>
        </Fact>
        <Fact label="Members" value={number(all.members)}>
          {all.members === all.membersOnline ? (
            "all online"
          ) : (
            <Link to={listOf("warning:members")}>{number(all.members - all.membersOnline)} not online</Link>
          )}
        </Fact>
        <Fact label="Running instances" value={number(all.running)}>
          of {number(all.instances)}
        </Fact>
        <Fact label="Memory" value={`${percentOf(all.memoryUsed, all.memoryTotal)} %`} extra>
          of {sizeText(all.memoryTotal)}
        </Fact>
        <Fact label="Disk" value={`${percentOf(all.storageUsed, all.storageTotal)} %`} extra>
          of {sizeText(all.storageTotal)}
        </Fact>
        <Fact label="Warnings" value={number(all.warnings)} caution={all.warnings > 0}>
          {all.warnings === 0 ? (
            "none"
          ) : (
            <Link to={listOf("warning:yes")}>
              on {number(all.clustersWithWarnings)} of {number(all.clusters)}
            </Link>
          )}
        </Fact>
      </div>
      <div className="summary__more">
        <HealthMap rows={rows} strip={STRIP} />
        {fullest.length > 0 && (
          <p className="summary__top">
            <span className="u-text--muted">Fullest memory:</span>{" "}
            {fullest.map(({ name, figures }) => (
              <Link key={name} to={`/cluster/${encodeURIComponent(name)}`}>
                <Visible text={name} /> {Math.ceil(figures?.memory?.percent ?? 0)} %
              </Link>
            ))}
          </p>
        )}
      </div>
    </>
  );
}

interface FactProps {
  label: string;
  value: string;
  wide?: boolean;
  /** Left out on narrow screens. */
  extra?: boolean;
  caution?: boolean;
  children: ReactNode;
}

function Fact({ label, value, wide = false, extra = false, caution = false, children }: FactProps) {
  const className = `summary__fact${wide ? " is-wide" : ""}${extra ? " is-extra" : ""}`;
  return (
    <div className={className}>
      <div className="summary__label">{label}</div>
      <div className="summary__value">
        {caution && <i className="p-icon--warning" aria-hidden="true" />}
        {value}
      </div>
      <div className="summary__detail">{children}</div>
    </div>
  );
}

/** The band's place while the list is loading. */
export function SummarySkeleton() {
  return (
    <div className="summary is-loading" aria-hidden="true">
      <span className="skeleton skeleton--line" />
    </div>
  );
}
