import { Link } from "react-router";
import type { ClusterState } from "@/api/types";
import type { Column } from "@/components/DataTable";
import { StateBadge } from "@/components/StateBadge";
import type { ClusterRow } from "@/lib/clusterRow";
import { compareNumber, compareText, type Sort } from "@/lib/sorting";
import {
  DiskCell,
  HeartbeatCell,
  InstancesCell,
  LoadCell,
  MembersCell,
  MemoryCell,
  SeenNote,
  StatusCell,
  WarningsCell,
} from "./cells";
import { RowMenu } from "./RowMenu";

/** From what needs attention to what does not. */
const URGENCY: Record<ClusterState, number> = { offline: 0, never: 1, stale: 2, waiting: 3, online: 4 };

export const DEFAULT_SORT: Sort = { id: "name", desc: false };

/** The columns of the list of clusters; `onRemove` is told whether the question is to be skipped. */
export function clusterColumns(onRemove: (name: string, skipQuestion: boolean) => void): Column<ClusterRow>[] {
  return [
    {
      id: "name",
      label: "Cluster Name",
      className: "col-name",
      rowHeader: true,
      compare: (a, b) => compareText(a.name, b.name),
      cell: (row) => (
        <>
          <Link to={`/cluster/${encodeURIComponent(row.name)}`} title={row.name}>
            {row.name}
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
      cell: (row) => <span title={row.description}>{row.description}</span>,
    },
    {
      id: "status",
      label: "Status",
      className: "col-status",
      compare: (a, b) => URGENCY[a.state] - URGENCY[b.state] || compareNumber(a.heartbeatAt, b.heartbeatAt),
      cell: (row) => <StatusCell row={row} />,
    },
    {
      id: "members",
      label: "Members",
      className: "col-members",
      largestFirst: true,
      compare: (a, b) => compareNumber(a.figures?.members ?? null, b.figures?.members ?? null),
      cell: (row) => <MembersCell figures={row.figures} />,
    },
    {
      id: "instances",
      label: "Running instances",
      className: "col-instances",
      largestFirst: true,
      compare: (a, b) => compareNumber(a.figures?.running ?? null, b.figures?.running ?? null),
      cell: (row) => <InstancesCell figures={row.figures} />,
    },
    {
      id: "load",
      label: "CPU load",
      className: "col-load",
      largestFirst: true,
      compare: (a, b) => compareNumber(a.figures?.load[0] ?? null, b.figures?.load[0] ?? null),
      cell: (row) => <LoadCell figures={row.figures} />,
    },
    {
      id: "memory",
      label: "Memory",
      className: "col-memory",
      largestFirst: true,
      compare: (a, b) => compareNumber(a.figures?.memory?.percent ?? null, b.figures?.memory?.percent ?? null),
      cell: (row) => <MemoryCell figures={row.figures} />,
    },
    {
      id: "disk",
      label: "Disk",
      className: "col-disk",
      largestFirst: true,
      compare: (a, b) =>
        compareNumber(a.figures?.fullestPool?.percent ?? null, b.figures?.fullestPool?.percent ?? null),
      cell: (row) => <DiskCell figures={row.figures} />,
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
    {
      id: "actions",
      label: "Actions",
      className: "col-actions",
      cell: (row) => <RowMenu row={row} onRemove={onRemove} />,
    },
  ];
}
