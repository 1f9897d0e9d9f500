import type { StatusCount } from "@/api/types";
import { number } from "@/lib/count";
import { slicesOf } from "@/lib/statuses";
import { Ring } from "./charts/Ring";

interface Props {
  /** Such as `3 members`. */
  title: string;
  of: "members" | "instances";
  statuses: readonly StatusCount[];
}

/** Statuses by number and share: those that everybody knows always, others by the name that the cluster gave them. */
export function StatusRing({ title, of, statuses }: Props) {
  const slices = slicesOf(of, statuses);
  const total = slices.reduce((sum, { value }) => sum + value, 0);
  return (
    <section className="block cluster-detail-doughnut-graph">
      <h2 className="p-heading--5">{title}</h2>
      <div className="status-ring">
        <Ring title={title} slices={slices} />
        <ul className="status-list">
          {slices.map(({ label, value, colour }) => (
            <li key={label}>
              <span>
                <i className="status-list__mark" style={{ background: `var(${colour})` }} aria-hidden="true" />
                {label}
              </span>
              <b>{number(value)}</b>
              <span className="u-text--muted">{total === 0 ? 0 : Math.floor((value / total) * 100)} %</span>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
