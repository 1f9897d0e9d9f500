import Button from "@kit/Button";
import CheckboxInput from "@kit/CheckboxInput";
import Icon from "@kit/Icon";
import type { JoinToken } from "@/api/types";
import type { Column } from "@/components/DataTable";
import { useNow } from "@/components/useNow";
import { serverNow } from "@/api/serverClock";
import { Visible } from "@/components/Visible";
import { dateTimeText, exactTimeText, parseTime } from "@/lib/dates";
import { compareNumber, compareText, type Sort } from "@/lib/sorting";
import { timeLeftText, tokenState, type TokenState } from "@/lib/tokenState";
import { visible } from "@/lib/visible";

export const DEFAULT_SORT: Sort = { id: "created", desc: true };
export const SORTABLE = ["name", "description", "state", "expiry", "created"] as const;

const LABELS: Record<TokenState, string> = { valid: "Valid", soon: "Expires soon", expired: "Expired" };
const ICONS: Record<TokenState, string> = { valid: "success", soon: "warning", expired: "error" };

interface Options {
  sort: Sort;
  rows: readonly JoinToken[];
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
  /** Null for people who may only look. */
  onRevoke: ((name: string, skipQuestion: boolean) => void) | null;
}

/** The columns of the list of join tokens. Whatever the sort, expired tokens come last. */
export function tokenColumns({ sort, rows, selected, onSelect, onRevoke }: Options): Column<JoinToken>[] {
  const expiredLast = (compare: (a: JoinToken, b: JoinToken) => number) => (a: JoinToken, b: JoinToken) => {
    const now = serverNow();
    const last = Number(tokenState(a, now) === "expired") - Number(tokenState(b, now) === "expired");
    // The table turns the result round for a descending sort; expired ones stay at the end all the same.
    return last !== 0 ? (sort.desc ? -last : last) : compare(a, b);
  };
  const byTime = (key: "expiry" | "created_at") =>
    expiredLast((a, b) => compareNumber(parseTime(a[key]), parseTime(b[key])));

  const all = rows.length > 0 && rows.every((token) => selected.has(token.cluster_name));
  const none = selected.size === 0;
  const toggle = (name: string) => {
    const after = new Set(selected);
    if (!after.delete(name)) after.add(name);
    onSelect(after);
  };

  const columns: Column<JoinToken>[] = [
    {
      id: "name",
      label: "Cluster name",
      className: "col-name",
      rowHeader: true,
      compare: expiredLast((a, b) => compareText(a.cluster_name, b.cluster_name)),
      cell: (token) => <Clipped text={token.cluster_name} />,
    },
    {
      id: "description",
      label: "Description",
      className: "col-description",
      compare: expiredLast((a, b) => compareText(a.description, b.description)),
      cell: (token) => <Clipped text={token.description} />,
    },
    {
      id: "state",
      label: "State",
      className: "col-state",
      compare: byTime("expiry"),
      cell: (token) => <StateCell token={token} />,
    },
    {
      id: "expiry",
      label: "Expiry",
      className: "col-expiry",
      compare: byTime("expiry"),
      cell: (token) => <Moment text={token.expiry} />,
    },
    {
      id: "created",
      label: "Created at",
      className: "col-created",
      largestFirst: true,
      compare: byTime("created_at"),
      cell: (token) => <Moment text={token.created_at} />,
    },
  ];
  if (onRevoke === null) return columns;
  const boxes: Column<JoinToken> = {
    id: "select",
    label: "Select",
    className: "col-select",
    header: (
      <CheckboxInput
        label={<span className="u-off-screen">Select all</span>}
        checked={all}
        indeterminate={!all && !none}
        onChange={() => onSelect(none ? new Set(rows.map((token) => token.cluster_name)) : new Set())}
      />
    ),
    cell: (token) => (
      <CheckboxInput
        label={<span className="u-off-screen">Select {visible(token.cluster_name)}</span>}
        checked={selected.has(token.cluster_name)}
        onChange={() => toggle(token.cluster_name)}
      />
    ),
  };
  const revoke: Column<JoinToken> = {
    id: "actions",
    label: "Actions",
    className: "col-actions",
    cell: (token) => (
      <Button
        type="button"
        appearance="base"
        hasIcon
        className="row-button"
        title="Revoke token"
        onClick={(event) => onRevoke(token.cluster_name, event.shiftKey)}
      >
        <Icon name="delete">Revoke token of {visible(token.cluster_name)}</Icon>
      </Button>
    ),
  };
  return [boxes, ...columns, revoke];
}

/** A text that may be cut off; all of it is in the tooltip. */
function Clipped({ text }: { text: string }) {
  return (
    <span title={visible(text)}>
      <Visible text={text} />
    </span>
  );
}

function StateCell({ token }: { token: JoinToken }) {
  const now = useNow();
  const state = tokenState(token, now);
  return (
    <span className={`token-state is-${state}`}>
      <Icon name={ICONS[state]} aria-hidden="true" /> {LABELS[state]}{" "}
      <span className="cell-of">{timeLeftText(token, now)}</span>
    </span>
  );
}

function Moment({ text }: { text: string }) {
  const at = parseTime(text);
  return (
    <time dateTime={text} title={exactTimeText(at)}>
      {dateTimeText(at)}
    </time>
  );
}
