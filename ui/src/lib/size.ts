const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** Bytes with base 1024 and one decimal. The next unit starts at 1000, so that no number has four digits. */
export function sizeText(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // The rounded value decides: 999.96 would print as 1000.0.
  while (Number(value.toFixed(unit === 0 ? 0 : 1)) >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit] ?? "B"}`;
}

/** Share in percent, rounded up as in the warnings; a total of 0 counts as 0 %. */
export function percentOf(used: number, total: number): number {
  return total > 0 ? Math.ceil((used / total) * 100) : 0;
}

/** A number for an axis or a legend: at most two decimals, none for whole numbers. */
export function plainNumberText(value: number): string {
  return new Intl.NumberFormat("en", { maximumFractionDigits: value < 10 ? 2 : 1 }).format(value);
}

/** An average of what can be counted, as people count it. */
export function wholeText(value: number): string {
  return new Intl.NumberFormat("en").format(Math.round(value));
}

export function percentText(value: number): string {
  return `${plainNumberText(value)} %`;
}
