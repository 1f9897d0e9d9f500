import { Link } from "react-router";
import type { Column } from "@/components/DataTable";
import { SelectAllBox, SelectBox } from "@/components/SelectBox";
import type { Selection } from "@/components/selection";
import { StateBadge } from "@/components/StateBadge";
import { Visible } from "@/components/Visible";
import { compareUrgency, type FleetRow } from "@/lib/fleetRow";
import { compareNumber, compareText, type Sort } from "@/lib/sorting";
import { visible } from "@/lib/visible";
import {
  HeartbeatCell,
  InstancesCell,
  JoinedCell,
  LoadCell,
  MembersCell,
  PoolCell,
  SeenNote,
  StatusCell,
  UsageCell,
  WarningsCell,
} from "./cells";
import { MemorySparkline } from "./MemorySparkline";
import { RowMenu, type RowActions } from "./RowMenu";

export const DEFAULT_SORT: Sort = { id: "name", desc: false };

/** Everything that the list can show of a cluster, in this order. */
export const COLUMNS: readonly (Column<FleetRow> & { fixed?: boolean })[] = [
  {
    id: "name",
    label: "Cluster Name",
    className: "col-name",
    rowHeader: true,
    fixed: true,
    compare: (a, b) => compareText(a.name, b.name),
    cell: (row) => (
      <>
        <Link to={`/cluster/${encodeURIComponent(row.name)}`} title={visible(row.name)}>
          <Visible text={row.name} />
        </Link>
        <span className="phone-note">
          <StateBadge state={row.state} />
          <SeenNote row={row} />
        </span>
      </>
    ),
  },
  {
    id: "description",
    label: "Description",
    className: "col-description",
    compare: (a, b) => compareText(a.description, b.description),
    cell: (row) => (
      <span title={visible(row.description)}>
        <Visible text={row.description} />
      </span>
    ),
  },
  {
    id: "status",
    label: "Status",
    className: "col-status",
    fixed: true,
    compare: (a, b) => compareUrgency(a.state, b.state) || compareNumber(a.heartbeatAt, b.heartbeatAt),
    cell: (row) => <StatusCell row={row} />,
  },
  {
    id: "members",
    label: "Members",
    className: "col-members",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.members ?? null, b.figures?.members ?? null),
    cell: (row) => <MembersCell name={row.name} figures={row.figures} />,
  },
  {
    id: "instances",
    label: "Running instances",
    className: "col-instances",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.running ?? null, b.figures?.running ?? null),
    cell: (row) => <InstancesCell name={row.name} figures={row.figures} />,
  },
  {
    id: "load",
    label: "CPU load",
    className: "col-load",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.load ?? null, b.figures?.load ?? null),
    cell: (row) => <LoadCell figures={row.figures} />,
  },
  {
    id: "memory",
    label: "Memory",
    className: "col-memory",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.memory?.percent ?? null, b.figures?.memory?.percent ?? null),
    cell: (row) => <UsageCell of={row.figures?.memory} threshold={row.thresholds.memory} />,
  },
  {
    id: "trend",
    label: "Memory, 24 h",
    className: "col-trend",
    compare: (a, b) => compareNumber(a.figures?.memory?.percent ?? null, b.figures?.memory?.percent ?? null),
    cell: (row) => <MemorySparkline name={row.name} />,
  },
  {
    id: "disk",
    label: "Disk",
    className: "col-disk",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.pool?.percent ?? null, b.figures?.pool?.percent ?? null),
    cell: (row) => <PoolCell row={row} />,
  },
  {
    id: "storage",
    label: "Storage",
    className: "col-storage",
    largestFirst: true,
    compare: (a, b) => compareNumber(a.figures?.storage?.percent ?? null, b.figures?.storage?.percent ?? null),
    cell: (row) => <UsageCell of={row.figures?.storage} threshold={0} />,
  },
  {
    id: "tunnel",
    label: "Tunnel",
    className: "col-tunnel",
    compare: (a, b) => Number(a.tunnel) - Number(b.tunnel),
    cell: (row) => (row.tunnel ? "Yes" : <span className="u-text--muted">No</span>),
  },
  {
    id: "joined",
    label: "Joined",
    className: "col-joined",
    largestFirst: true,
    compare: (a, b) => a.joinedAt - b.joinedAt,
    cell: (row) => <JoinedCell row={row} />,
  },
  {
    id: "heartbeat",
    label: "Last heartbeat",
    className: "col-heartbeat",
    compare: (a, b) => compareNumber(a.heartbeatAt, b.heartbeatAt),
    cell: (row) => <HeartbeatCell row={row} />,
  },
  {
    id: "warnings",
    label: "Warnings",
    className: "col-warnings",
    largestFirst: true,
    compare: (a, b) => a.warnings.length - b.warnings.length,
    cell: (row) => <WarningsCell row={row} />,
  },
];

export const SORTABLE = COLUMNS.map(({ id }) => id);

/** The columns that are shown until somebody chooses others. */
export const USUAL = [
  "name",
  "description",
  "status",
  "members",
  "instances",
  "load",
  "memory",
  "disk",
  "heartbeat",
  "warnings",
];

interface Options extends RowActions {
  shown: readonly string[];
  /** Null where nothing can be done with several clusters. */
  selection: Selection | null;
  /** Names that `Select all` chooses. */
  selectable: readonly string[];
  /** Whether the selection is in use by a panel or a dialog. */
  locked: boolean;
}

/** The columns of the list of clusters, with boxes before and a menu after them. */
export function clusterColumns(options: Options): Column<FleetRow>[] {
  const { shown, selection, selectable, locked, onConfigure, onRemove } = options;
  const columns: Column<FleetRow>[] = COLUMNS.filter(({ id, fixed }) => fixed === true || shown.includes(id));
  const menu: Column<FleetRow> = {
    id: "actions",
    label: "Actions",
    className: "col-actions",
    cell: (row) => <RowMenu name={row.name} onConfigure={onConfigure} onRemove={onRemove} />,
  };
  if (selection === null) return [...columns, menu];
  const boxes: Column<FleetRow> = {
    id: "select",
    label: "Select",
    className: "col-select",
    header: <SelectAllBox selection={selection} shown={selectable} locked={locked} />,
    cell: (row) => <SelectBox selection={selection} name={row.name} locked={locked} />,
  };
  return [boxes, ...columns, menu];
}
