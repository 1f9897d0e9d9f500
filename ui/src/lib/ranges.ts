/** Spans of time that charts show. */
export const RANGES = [
  { value: "1h", label: "1 h", seconds: 3600 },
  { value: "24h", label: "24 h", seconds: 86_400 },
  { value: "7d", label: "7 days", seconds: 7 * 86_400 },
  { value: "30d", label: "30 days", seconds: 30 * 86_400 },
] as const;

export type Range = (typeof RANGES)[number]["value"];

export function parseRange(text: string | null, fallback: Range): Range {
  return RANGES.find(({ value }) => value === text)?.value ?? fallback;
}

export function rangeSeconds(range: Range): number {
  return RANGES.find(({ value }) => value === range)?.seconds ?? 0;
}

/** The query of an address: from and to, in whole minutes, so that people who look at the same time ask the same. */
export function rangeBounds(range: Range, now: number): string {
  const to = Math.ceil(now / 60_000) * 60_000;
  const from = to - rangeSeconds(range) * 1000;
  const text = (at: number) => encodeURIComponent(new Date(at).toISOString().replace(".000", ""));
  return `from=${text(from)}&to=${text(to)}`;
}
