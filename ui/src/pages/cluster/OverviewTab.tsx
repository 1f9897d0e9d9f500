import { useQuery } from "@tanstack/react-query";
import classNames from "classnames";
import { useState, type ReactNode } from "react";
import { Link } from "react-router";
import Button from "@kit/Button";
import Modal from "@kit/Modal";
import { configurationQuery } from "@/api/queries";
import type { Cluster, Configuration } from "@/api/types";
import { CopyButton } from "@/components/CopyButton";
import { useReturnFocus } from "@/components/focus";
import { EditIcon } from "@/components/icons";
import { StateBadge } from "@/components/StateBadge";
import { StatusRing } from "@/components/StatusRing";
import { UsageBar } from "@/components/UsageBar";
import { useNowText } from "@/components/useNow";
import { useRights } from "@/components/useRights";
import { Visible } from "@/components/Visible";
import { sinceText } from "@/lib/age";
import { loadText, toRow, type Usage } from "@/lib/clusterRow";
import { count, number } from "@/lib/count";
import { dateTimeText, exactTimeText, parseTime } from "@/lib/dates";
import { isOld } from "@/lib/fleetRow";
import { sizeText } from "@/lib/size";
import { visible } from "@/lib/visible";
import { useClusterContext } from "./context";
import { PoolTable } from "./PoolTable";
import { WarningList } from "./WarningList";

/** The four facts, what runs on the cluster, its warnings, and what is known about it. */
export function OverviewTab() {
  const { cluster } = useClusterContext();
  const row = toRow(cluster);
  const old = isOld(row.state);
  const { figures } = row;
  return (
    <>
      <div className={classNames("facts", { "is-old": old })}>
        <Fact label="Since last heartbeat" note={<StateBadge state={row.state} />}>
          {row.heartbeatAt === null ? "–" : <SinceHeartbeat at={row.heartbeatAt} />}
        </Fact>
        <CapacityFact label="Total memory" of={figures?.memory ?? null} threshold={cluster.memory_threshold}>
          Threshold {cluster.memory_threshold} %
        </CapacityFact>
        <CapacityFact label="Total storage" of={figures?.storage ?? null} threshold={0}>
          {figures?.fullestPool && (
            <>
              Fullest: {visible(figures.fullestPool.name)}
              {figures.fullestPool.member !== "" && ` on ${visible(figures.fullestPool.member)}`},{" "}
              {Math.ceil(figures.fullestPool.percent)} %{" "}
            </>
          )}
          <PoolDetails cluster={cluster} />
        </CapacityFact>
        <Fact
          label="CPU load"
          note={figures === null ? "" : `Averages over 1, 5 and 15 minutes, ${ofCores(cluster.cpu_total_count)}`}
        >
          {loadText(figures) ?? "–"}
        </Fact>
      </div>
      {old && (
        <p className="u-text--muted">The figures are as of {exactTimeText(row.heartbeatAt)}, the last heartbeat.</p>
      )}
      <div className="columns">
        <StatusRing
          title={count(figures?.members ?? 0, "member")}
          of="members"
          statuses={figures?.memberStatuses ?? []}
        />
        <StatusRing
          title={count(figures?.instances ?? 0, "instance")}
          of="instances"
          statuses={figures?.instanceStatuses ?? []}
        />
        <section className="block">
          <h2 className="p-heading--5">
            {cluster.warnings.length === 0 ? "No warnings" : count(cluster.warnings.length, "warning")}
          </h2>
          <WarningList warnings={cluster.warnings} most={SHOWN_WARNINGS} />
          {cluster.warnings.length > SHOWN_WARNINGS && (
            <Link to={`/cluster/${encodeURIComponent(cluster.name)}/warnings`}>
              All {number(cluster.warnings.length)} warnings
            </Link>
          )}
        </section>
      </div>
      <About />
    </>
  );
}

const SHOWN_WARNINGS = 4;

/** Clusters that tell their number of cores have divided the load by it. */
function ofCores(n: number): string {
  return n > 0 ? `for each of ${count(n, "core")}` : "sum of all members";
}

/** Where the cluster sends its heartbeats to; the frame has asked for the configuration. */
function connectorAddress(configuration: Configuration | undefined): string | null {
  const [domain, port] = ["cluster_connector_domain", "cluster_connector_port"].map(
    (key) => configuration?.[key]?.value ?? "",
  );
  return domain === "" || port === "" ? null : `${domain}:${port}`;
}

function About() {
  const { cluster, mayChange, configure } = useClusterContext();
  const { mayAdminister } = useRights();
  const edit = () => configure("description");
  const connector = connectorAddress(useQuery({ ...configurationQuery, enabled: false }).data);
  return (
    <section className="block">
      <h2 className="p-heading--5">About</h2>
      <dl className="about">
        <dt>Description</dt>
        <dd className="about__copy is-wide">
          {cluster.description === "" ? (
            mayChange ? (
              <Button type="button" dense onClick={edit}>
                Add description
              </Button>
            ) : (
              "–"
            )
          ) : (
            <>
              <span className="breakable">
                <Visible text={cluster.description} />
              </span>
              {mayChange && (
                <Button type="button" appearance="base" dense hasIcon onClick={edit} title="Edit description">
                  <EditIcon />
                  <span className="u-off-screen">Edit description</span>
                </Button>
              )}
            </>
          )}
        </dd>
        <Copied label="Name" what="name" text={cluster.name} />
        <Copied label="Joined" what="time of the join" text={cluster.joined_at}>
          {dateTimeText(parseTime(cluster.joined_at))}
        </Copied>
        <dt>Heartbeat interval</dt>
        <dd>{Math.round(cluster.heartbeat_interval_seconds)} s</dd>
        <dt>Tunnel</dt>
        <dd>{cluster.tunnel_registered ? "Tunnel registered" : "Tunnel not available"}</dd>
        {connector !== null && <Copied label="Connector address" what="connector address" text={connector} />}
        {cluster.ui_url !== "" && <Copied label="LXD UI" what="LXD UI" text={cluster.ui_url} />}
        {mayAdminister && (
          <>
            <dt>Events</dt>
            <dd>
              <Link to={`/audit?${new URLSearchParams({ object: cluster.name })}`}>Audit records</Link>
            </dd>
          </>
        )}
        <Copied
          wide
          label="Certificate fingerprint"
          what="certificate fingerprint"
          text={cluster.certificate_fingerprint}
        >
          <code>{cluster.certificate_fingerprint}</code>
        </Copied>
        <Copied wide label="Certificate" what="certificate" text={cluster.cluster_certificate}>
          Valid until {dateTimeText(parseTime(cluster.certificate_not_after))}
        </Copied>
      </dl>
    </section>
  );
}

interface CopiedProps {
  label: string;
  /** What the button calls it. */
  what: string;
  /** What is copied. */
  text: string;
  /** What is shown, where that is something else. */
  children?: ReactNode;
  /** Gives it a row for itself. */
  wide?: boolean;
}

function Copied({ label, what, text, children, wide = false }: CopiedProps) {
  return (
    <>
      <dt>{label}</dt>
      <dd className={classNames("about__copy", { "is-wide": wide })}>
        <span className="breakable">{children ?? visible(text)}</span>
        <CopyButton text={text} label={`Copy ${what}`} appearance="base" iconOnly />
      </dd>
    </>
  );
}

function PoolDetails({ cluster }: { cluster: Cluster }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="p-button--link fact__action" onClick={() => setOpen(true)}>
        View details
      </button>
      {open && <PoolDialog cluster={cluster} onClose={() => setOpen(false)} />}
    </>
  );
}

function PoolDialog({ cluster, onClose }: { cluster: Cluster; onClose: () => void }) {
  useReturnFocus();
  return (
    <Modal
      title="Storage pool details"
      close={onClose}
      className="pool-dialog"
      buttonRow={
        <Button type="button" onClick={onClose}>
          Close
        </Button>
      }
    >
      <PoolTable pools={cluster.storage_pool_usages} threshold={cluster.disk_threshold} />
    </Modal>
  );
}

function SinceHeartbeat({ at }: { at: number }) {
  const since = useNowText((now) => sinceText(at, now));
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTimeText(at)}>
      {since}
    </time>
  );
}

function Fact({ label, note, children }: { label: string; note?: ReactNode; children: ReactNode }) {
  return (
    <section className="fact">
      <h2 className="fact__label">{label}</h2>
      <div className="fact__value">{children}</div>
      <div className="fact__note">{note}</div>
    </section>
  );
}

interface CapacityProps {
  label: string;
  of: Usage | null;
  threshold: number;
  children: ReactNode;
}

function CapacityFact({ label, of, threshold, children }: CapacityProps) {
  return (
    <Fact label={label} note={of === null ? "" : children}>
      {of === null ? (
        "–"
      ) : (
        <UsageBar percent={of.percent} threshold={threshold}>
          {sizeText(of.used)} <span className="cell-of">of {sizeText(of.total)}</span>
        </UsageBar>
      )}
    </Fact>
  );
}
