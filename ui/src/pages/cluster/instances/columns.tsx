import { keyOf, type Instance } from "@/api/lxd";
import type { InstanceAction } from "@/api/tunnel";
import type { Column } from "@/components/DataTable";
import { MoreIcon } from "@/components/icons";
import { Menu } from "@/components/Menu";
import { SelectAllBox, SelectBox } from "@/components/SelectBox";
import type { Selection } from "@/components/selection";
import { Visible } from "@/components/Visible";
import { dateTimeText, parseTime } from "@/lib/dates";
import type { ExportColumn } from "@/lib/exporting";
import { compareNumber, compareText, type Sort } from "@/lib/sorting";
import { visible } from "@/lib/visible";
import { ACTION_LABELS, actionsFor } from "./labels";

export const DEFAULT_SORT: Sort = { id: "name", desc: false };
export const SORTABLE = ["name", "project", "type", "status", "location", "created", "used"];

// The keys come from clusters: these are maps, since an object knows more words, such as `constructor`.
const TYPES = new Map([
  ["container", "Container"],
  ["virtual-machine", "VM"],
]);

export const exportColumns: readonly ExportColumn<Instance>[] = [
  ["name", (row) => row.name],
  ["project", (row) => row.project],
  ["type", (row) => row.type],
  ["status", (row) => row.status],
  ["location", (row) => row.location],
  ["created_at", (row) => row.created_at],
  ["last_used_at", (row) => row.last_used_at],
];

interface Options {
  selection: Selection | null;
  selectable: readonly string[];
  locked: boolean;
  onAction: (action: InstanceAction, instance: Instance) => void;
}

export function instanceColumns({ selection, selectable, locked, onAction }: Options): Column<Instance>[] {
  const columns: Column<Instance>[] = [
    {
      id: "name",
      label: "Name",
      className: "col-name",
      rowHeader: true,
      compare: (a, b) => compareText(a.name, b.name),
      cell: (row) => (
        <>
          <span title={visible(row.name)}>
            <Visible text={row.name} />
          </span>
          <span className="phone-note">
            {visible(row.status)}, {visible(row.project)}
          </span>
        </>
      ),
    },
    textColumn("project", "Project", (row) => row.project),
    textColumn("type", "Type", (row) => TYPES.get(row.type) ?? row.type),
    {
      id: "status",
      label: "Status",
      className: "col-state",
      compare: (a, b) => compareText(a.status, b.status),
      cell: (row) => <InstanceStatus status={row.status} />,
    },
    textColumn("location", "Location", (row) => row.location),
    timeColumn("created", "Created", (row) => row.created_at),
    timeColumn("used", "Last used", (row) => row.last_used_at),
  ];
  columns.push({
    id: "actions",
    label: "Actions",
    className: "col-actions",
    cell: (row) => {
      const actions = locked ? [] : actionsFor([row.status]);
      if (actions.length === 0) return null;
      return (
        <Menu
          label={`Actions for ${visible(row.name)}`}
          icon={<MoreIcon />}
          entries={actions.map((action) => ({ label: ACTION_LABELS[action], onClick: () => onAction(action, row) }))}
        />
      );
    },
  });
  if (selection === null) return columns;
  return [
    {
      id: "select",
      label: "Select",
      className: "col-select",
      header: <SelectAllBox selection={selection} shown={selectable} locked={locked} />,
      cell: (row) => <SelectBox selection={selection} name={keyOf(row)} locked={locked} />,
    },
    ...columns,
  ];
}

function textColumn(id: string, label: string, value: (row: Instance) => string): Column<Instance> {
  return {
    id,
    label,
    className: `col-${id}`,
    compare: (a, b) => compareText(value(a), value(b)),
    cell: (row) => <Visible text={value(row)} />,
  };
}

function timeColumn(id: string, label: string, value: (row: Instance) => string): Column<Instance> {
  const at = (row: Instance) => parseTime(value(row));
  return {
    id,
    label,
    className: `col-${id}`,
    largestFirst: true,
    compare: (a, b) => compareNumber(at(a), at(b)),
    cell: (row) => dateTimeText(at(row)),
  };
}

const COLOURS = new Map([
  ["running", "online"],
  ["ready", "online"],
  ["stopped", "never"],
  ["frozen", "waiting"],
  ["error", "offline"],
]);

function InstanceStatus({ status }: { status: string }) {
  return (
    <span className={`instance-status is-${COLOURS.get(status.toLowerCase()) ?? "other"}`}>
      <i aria-hidden="true" />
      {visible(status)}
    </span>
  );
}
