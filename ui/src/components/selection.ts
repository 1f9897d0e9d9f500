import { useState, useSyncExternalStore } from "react";

/**
 * The names that are chosen in a list. It stands outside of the drawing: a click then draws one box again and not
 * thousands of rows.
 */
export class Selection {
  private names: ReadonlySet<string> = new Set();
  private readonly listeners = new Set<() => void>();
  private last: string | null = null;
  private shown: readonly string[] = [];

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): ReadonlySet<string> => this.names;

  readonly set = (names: Iterable<string>): void => {
    this.names = new Set(names);
    this.listeners.forEach((notify) => notify());
  };

  readonly clear = (): void => {
    this.last = null;
    this.set([]);
  };

  /** The names in the order in which they are shown, for ranges. */
  readonly order = (): readonly string[] => this.shown;

  readonly setOrder = (names: readonly string[]): void => {
    this.shown = names;
  };

  /** Turns one name round; with Shift everything from the last one that was clicked up to this one. */
  readonly toggle = (name: string, range: boolean): void => {
    const after = new Set(this.names);
    const chosen = !after.has(name);
    const from = this.last === null ? -1 : this.shown.indexOf(this.last);
    const to = this.shown.indexOf(name);
    const touched =
      range && from >= 0 && to >= 0 ? this.shown.slice(Math.min(from, to), Math.max(from, to) + 1) : [name];
    for (const one of touched) {
      if (chosen) after.add(one);
      else after.delete(one);
    }
    this.last = name;
    this.set(after);
  };

  /** Names that are gone leave the selection. */
  readonly keepOnly = (known: ReadonlySet<string>): void => {
    const after = [...this.names].filter((name) => known.has(name));
    if (after.length !== this.names.size) this.set(after);
  };
}

export function useSelection(): [Selection, ReadonlySet<string>] {
  const [selection] = useState(() => new Selection());
  return [selection, useSyncExternalStore(selection.subscribe, selection.snapshot)];
}
