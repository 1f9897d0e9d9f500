export interface Sort {
  id: string;
  desc: boolean;
}

/** `-memory` is "by memory, largest first". Unknown columns give the fallback: addresses are typed and shared. */
export function parseSort(text: string | null, columns: readonly string[], fallback: Sort): Sort {
  if (text === null) return fallback;
  const desc = text.startsWith("-");
  const id = desc ? text.slice(1) : text;
  return columns.includes(id) ? { id, desc } : fallback;
}

/** The address form of a sort; null for the fallback, which needs no key in the address. */
export function formatSort(sort: Sort, fallback: Sort): string | null {
  if (sort.id === fallback.id && sort.desc === fallback.desc) return null;
  return sort.desc ? `-${sort.id}` : sort.id;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Names as people order them: `edge-2` before `edge-10`, any case. */
export function compareText(a: string, b: string): number {
  return collator.compare(a, b);
}

/** Ascending numbers; what is not known comes first, like a zero. */
export function compareNumber(a: number | null, b: number | null): number {
  return (a ?? -1) - (b ?? -1);
}
