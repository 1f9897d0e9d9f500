import { useRef, useSyncExternalStore } from "react";
import CheckboxInput from "@kit/CheckboxInput";
import { visible } from "@/lib/visible";
import type { Selection } from "./selection";

/** The box that chooses one row. */
export function SelectBox({ selection, name, locked }: { selection: Selection; name: string; locked: boolean }) {
  const checked = useSyncExternalStore(selection.subscribe, () => selection.snapshot().has(name));
  const shift = useRef(false);
  return (
    <span
      onClickCapture={(event) => {
        shift.current = event.shiftKey;
      }}
    >
      <CheckboxInput
        label={<span className="u-off-screen">Select {visible(name)}</span>}
        checked={checked}
        disabled={locked}
        onChange={() => selection.toggle(name, shift.current)}
      />
    </span>
  );
}

/** Chooses everything that is shown while nothing is chosen, else clears. */
export function SelectAllBox({
  selection,
  shown,
  locked,
}: {
  selection: Selection;
  shown: readonly string[];
  locked: boolean;
}) {
  const chosen = useSyncExternalStore(selection.subscribe, selection.snapshot);
  const all = shown.length > 0 && shown.every((name) => chosen.has(name));
  return (
    <CheckboxInput
      label={<span className="u-off-screen">Select all</span>}
      checked={all}
      indeterminate={!all && chosen.size > 0}
      disabled={locked}
      onChange={() => (chosen.size === 0 ? selection.set(shown) : selection.clear())}
    />
  );
}
