import { useMemo, type ReactNode } from "react";
import { Link } from "react-router";
import type { FleetSummary } from "@/api/types";
import { Age } from "@/components/Age";
import { STATE_LABELS, StateIcon } from "@/components/StateBadge";
import { UsageBar } from "@/components/UsageBar";
import { Visible } from "@/components/Visible";
import { usage } from "@/lib/clusterRow";
import { number } from "@/lib/count";
import { parseTime } from "@/lib/dates";
import type { FleetRow } from "@/lib/fleetRow";
import { sizeText } from "@/lib/size";
import { visible } from "@/lib/visible";
import { warningKindText } from "@/lib/warningKinds";

const STATES = ["online", "stale", "offline", "waiting", "never"] as const;

/** A search in the list of clusters. */
const listOf = (query: string) => `/clusters?${new URLSearchParams({ query })}`;

interface CountsProps {
  summary: FleetSummary;
  tokens: { valid: number; soon: number; expired: number };
}

/** How many there are of everything; each number leads to the list of what it counts. */
export function Counts({ summary, tokens }: CountsProps) {
  const { clusters, members, instances, warnings } = summary;
  const otherMembers = members.not_online - members.offline - members.evacuated - members.blocked;
  const kinds = Object.entries(warnings).filter(([, n]) => n > 0);
  return (
    <section className="counts" aria-label="Counts">
      <Count title="Clusters" value={clusters.total} to="/clusters">
        {STATES.map((state) => (
          <Line key={state} to={listOf(`status:${state}`)} n={clusters[state]}>
            <StateIcon state={state} /> {STATE_LABELS[state].toLowerCase()}
          </Line>
        ))}
      </Count>
      <Count title="Members" value={members.total} to="/clusters?sort=-members">
        <StatusLines
          field="member"
          counts={[
            ["online", members.total - members.not_online],
            ["offline", members.offline],
            ["evacuated", members.evacuated],
            ["blocked", members.blocked],
          ]}
        />
        {otherMembers > 0 && (
          <Line to={listOf("warning:members")} n={otherMembers}>
            others
          </Line>
        )}
      </Count>
      <Count title="Instances" value={instances.total} to="/clusters?sort=-instances">
        <StatusLines
          field="instance"
          counts={[
            ["running", instances.running],
            ["stopped", instances.stopped],
            ["frozen", instances.frozen],
            ["error", instances.error],
          ]}
        />
        {instances.other > 0 && <Line n={instances.other}>others</Line>}
      </Count>
      <Count title="Clusters with warnings" value={clusters.with_warnings} to={listOf("warning:yes")}>
        {kinds.length === 0 && <li className="u-text--muted">none</li>}
        {kinds.map(([kind, n]) => (
          <Line key={kind} to={listOf(`warning:${kind}`)} n={n}>
            {warningKindText(kind)}
          </Line>
        ))}
      </Count>
      <Count title="Join tokens" value={tokens.valid + tokens.expired} to="/clusters/tokens">
        <Line to="/clusters/tokens" n={tokens.valid}>
          open
        </Line>
        <Line to="/clusters/tokens?sort=expiry" n={tokens.soon}>
          expiring soon
        </Line>
        <Line to="/clusters/tokens?sort=expiry" n={tokens.expired}>
          expired
        </Line>
      </Count>
    </section>
  );
}

function Count({ title, value, to, children }: { title: string; value: number; to: string; children: ReactNode }) {
  return (
    <div className="counts__one">
      <h2 className="summary__label">{title}</h2>
      <Link className="counts__value" to={to} aria-label={`${title}: ${number(value)}`}>
        {number(value)}
      </Link>
      <ul className="counts__list">{children}</ul>
    </div>
  );
}

/** How many are in each status, under the name by which the search of the list finds it. */
function StatusLines({ field, counts }: { field: "member" | "instance"; counts: [status: string, n: number][] }) {
  return counts.map(([status, n]) => (
    <Line key={status} to={listOf(`${field}:${status}`)} n={n}>
      {status === "error" ? "in error state" : status}
    </Line>
  ));
}

function Line({ to, n, children }: { to?: string; n: number; children: ReactNode }) {
  const text = (
    <>
      <b>{number(n)}</b> <span className="counts__what">{children}</span>
    </>
  );
  return <li className={n === 0 ? "is-zero" : undefined}>{to === undefined ? text : <Link to={to}>{text}</Link>}</li>;
}

/** Memory, storage and load of everything together. */
export function Capacity({ summary }: { summary: FleetSummary }) {
  const { cpu } = summary;
  const memory = usage(summary.memory.used, summary.memory.total);
  const storage = usage(summary.storage.used, summary.storage.total);
  return (
    <section className="block">
      <h2 className="p-heading--5">Capacity</h2>
      <dl className="capacity">
        {[["Memory", memory] as const, ["Storage", storage] as const].map(([label, of]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              {of === null ? (
                "–"
              ) : (
                <UsageBar percent={of.percent} threshold={0}>
                  <b>{Math.ceil(of.percent)} %</b> {sizeText(of.used)} of {sizeText(of.total)}
                </UsageBar>
              )}
            </dd>
          </div>
        ))}
        <div>
          <dt>CPU load</dt>
          <dd>
            {cpu.cores > 0 && cpu.load_of_cores === cpu.load ? (
              <UsageBar percent={(cpu.load / cpu.cores) * 100} threshold={0}>
                <b>{Math.ceil((cpu.load / cpu.cores) * 100)} %</b> {cpu.load.toFixed(1)} of {number(cpu.cores)} cores
              </UsageBar>
            ) : (
              <>
                <b>{cpu.load.toFixed(1)}</b> in total over one minute
                {cpu.cores > 0 &&
                  `; ${Math.ceil((cpu.load_of_cores / cpu.cores) * 100)} % of the ${number(cpu.cores)} cores that clusters report`}
              </>
            )}
          </dd>
        </div>
      </dl>
    </section>
  );
}

const TOP = 5;

/** What needs an eye first. */
export function TopLists({ summary, rows }: { summary: FleetSummary; rows: readonly FleetRow[] }) {
  const { memory, storage, silent } = summary.top;
  const loads = useMemo(
    () =>
      rows
        .filter(({ figures }) => figures?.load != null)
        .sort((a, b) => (b.figures?.load ?? 0) - (a.figures?.load ?? 0))
        .slice(0, TOP),
    [rows],
  );
  return (
    <>
      <Top title="Fullest memory" more="/clusters?sort=-memory">
        {memory.map(({ name, percent }) => (
          <TopLine key={name} name={name} value={`${Math.ceil(percent)} %`} />
        ))}
      </Top>
      <Top title="Fullest pool" more="/clusters?sort=-disk">
        {storage.map(({ name, pool, percent }) => (
          <TopLine key={`${name}/${pool}`} name={name} note={pool} value={`${Math.ceil(percent)} %`} />
        ))}
      </Top>
      <Top title="Highest load" more="/clusters?sort=-load">
        {loads.map(({ name, figures }) => (
          <TopLine key={name} name={name} value={(figures?.load ?? 0).toFixed(2)} />
        ))}
      </Top>
      <Top title="Oldest heartbeat" more="/clusters?sort=heartbeat">
        {silent.map(({ name, since }) => {
          const at = parseTime(since);
          return <TopLine key={name} name={name} value={at === null ? "never" : <Age at={at} />} />;
        })}
      </Top>
    </>
  );
}

function Top({ title, more, children }: { title: string; more: string; children: ReactNode[] }) {
  return (
    <section className="block top">
      <h2 className="p-heading--5">
        <Link to={more}>{title}</Link>
      </h2>
      {children.length === 0 ? <p className="u-text--muted">None</p> : <ol className="top__list">{children}</ol>}
    </section>
  );
}

function TopLine({ name, note, value }: { name: string; note?: string; value: ReactNode }) {
  return (
    <li>
      <Link className="top__name" to={`/cluster/${encodeURIComponent(name)}`} title={visible(name)}>
        <Visible text={name} />
      </Link>
      {note !== undefined && <span className="u-text--muted top__note">{visible(note)}</span>}
      <span className="top__value">{value}</span>
    </li>
  );
}
