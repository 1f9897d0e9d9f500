export const PRESETS = [
  { value: "1h", label: "1 h", ms: 3_600_000 },
  { value: "24h", label: "24 h", ms: 24 * 3_600_000 },
  { value: "7d", label: "7 days", ms: 7 * 24 * 3_600_000 },
] as const;

export type ExpiryChoice = (typeof PRESETS)[number]["value"] | "custom";

/** When a token will expire, in milliseconds; null if the typed date is not one. `custom` is local time. */
export function expiryAt(choice: ExpiryChoice, custom: string, now: number): number | null {
  const preset = PRESETS.find(({ value }) => value === choice);
  if (preset !== undefined) return now + preset.ms;
  const at = new Date(custom).getTime();
  return Number.isNaN(at) ? null : at;
}

/** What is wrong with a typed expiry; null if it is good. */
export function expiryProblem(choice: ExpiryChoice, custom: string, now: number): string | null {
  const at = expiryAt(choice, custom, now);
  if (at === null) return "Enter a date and a time.";
  return at <= now ? "The expiry must be in the future." : null;
}
