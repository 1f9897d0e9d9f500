import { useMemo, type ReactNode } from "react";
import type { ClusterState } from "@/api/types";
import { STATE_LABELS, StateIcon } from "@/components/StateBadge";
import type { FleetRow } from "@/lib/fleetRow";
import { number } from "@/lib/count";
import { percentOf, sizeText } from "@/lib/size";
import { summarise } from "@/lib/summary";

/** States that are always shown, also when no cluster is in them. */
const ALWAYS: readonly ClusterState[] = ["online", "stale", "offline"];
const SOMETIMES: readonly ClusterState[] = ["waiting", "never"];

/** The whole fleet in one line. */
export function SummaryBand({ rows }: { rows: readonly FleetRow[] }) {
  const all = useMemo(() => summarise(rows), [rows]);
  const states = [...ALWAYS, ...SOMETIMES.filter((state) => all.states[state] > 0)];
  return (
    <section className="summary" aria-label="Fleet summary">
      <Fact label="Clusters" value={number(all.clusters)} wide>
        <ul className="summary__states">
          {states.map((state) => (
            <li key={state} className={all.states[state] === 0 ? "is-zero" : undefined}>
              <StateIcon state={state} /> <b>{number(all.states[state])}</b> {STATE_LABELS[state].toLowerCase()}
            </li>
          ))}
        </ul>
      </Fact>
      <Fact label="Members" value={number(all.members)}>
        {all.members === all.membersOnline ? "all online" : `${number(all.members - all.membersOnline)} not online`}
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
        {all.warnings === 0 ? "none" : `on ${number(all.clustersWithWarnings)} of ${number(all.clusters)}`}
      </Fact>
    </section>
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
