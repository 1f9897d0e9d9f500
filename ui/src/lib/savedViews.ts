import { read, write } from "./browserStorage";

/** A search with its sort and columns under a name; kept in this browser. */
export interface SavedView {
  name: string;
  /** Query part of the address, without `?`. */
  search: string;
}

const KEY = "cluster-list-views";
const MOST = 50;
export const NAME_MAX = 60;

/** The views of this browser; what is not readable is taken for nothing. */
export function savedViews(): SavedView[] {
  try {
    const found: unknown = JSON.parse(read(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter(isView).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

function isView(value: unknown): value is SavedView {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    "search" in value &&
    typeof value.name === "string" &&
    typeof value.search === "string"
  );
}

/** Saves a view; one of the same name is replaced. Gives all of them. */
export function saveView(name: string, search: string): SavedView[] {
  return keep([...savedViews().filter((view) => view.name !== name), { name, search: viewOf(search) }]);
}

export function forgetView(name: string): SavedView[] {
  return keep(savedViews().filter((view) => view.name !== name));
}

function keep(views: SavedView[]): SavedView[] {
  const kept = views.slice(-MOST);
  write(KEY, JSON.stringify(kept));
  return kept;
}

/** The part of an address that makes a view: neither the page nor an open panel. */
function viewOf(search: string): string {
  const from = new URLSearchParams(search);
  const view = new URLSearchParams();
  for (const key of ["query", "sort", "columns"]) {
    const value = from.get(key);
    if (value !== null) view.set(key, value);
  }
  return view.toString();
}
