import Button from "@kit/Button";
import { count, number } from "@/lib/count";
import type { FleetRow } from "@/lib/fleetRow";

interface Props {
  total: number;
  found: readonly FleetRow[];
  searching: boolean;
  loading: boolean;
  selected: ReadonlySet<string>;
  locked: boolean;
  onSelect: (names: readonly string[]) => void;
  onConfigure: () => void;
  /** Told whether the question is to be skipped; null where this person may not remove anything. */
  onRemove: ((skipQuestion: boolean) => void) | null;
}

/** How many clusters are shown; while some are selected, how many those are and what can be done with them. */
export function ListCount(props: Props) {
  const { total, found, searching, loading, selected, locked, onSelect, onConfigure, onRemove } = props;
  if (selected.size === 0) {
    return (
      <p className="toolbar__count" role="status">
        {loading
          ? "Searching…"
          : searching
            ? `${count(found.length, "cluster matches", "clusters match")} (of ${number(total)})`
            : `Showing all ${count(total, "active cluster")}`}
      </p>
    );
  }
  const shown = found.filter(({ name }) => selected.has(name)).length;
  const hidden = selected.size - shown;
  const noun = selected.size === 1 ? "cluster" : "clusters";
  return (
    <div className="toolbar__selection">
      <p className="toolbar__count" role="status">
        {selected.size === total
          ? `All ${number(total)} clusters selected.`
          : `${number(selected.size)} selected${hidden > 0 ? `, ${number(hidden)} not shown` : ""}`}
      </p>
      <Button type="button" dense disabled={locked} onClick={onConfigure}>
        Configure {noun}
      </Button>
      {onRemove !== null && (
        <Button type="button" dense disabled={locked} onClick={(event) => onRemove(event.shiftKey)}>
          Remove {noun}
        </Button>
      )}
      {shown < found.length && (
        <Button
          type="button"
          appearance="link"
          disabled={locked}
          onClick={() => onSelect([...new Set([...selected, ...found.map(({ name }) => name)])])}
        >
          Select all {number(found.length)}
        </Button>
      )}
      <Button type="button" appearance="link" disabled={locked} onClick={() => onSelect([])}>
        Clear selection
      </Button>
    </div>
  );
}
