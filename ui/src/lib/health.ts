import type { FleetRow } from "./fleetRow";
import { compareText } from "./sorting";

/** How a cluster is, from the worst on. */
export const HEALTHS = ["offline", "never", "stale", "warning", "waiting", "ok"] as const;

export type Health = (typeof HEALTHS)[number];

export const HEALTH_LABELS: Record<Health, string> = {
  offline: "Offline",
  never: "Never connected",
  stale: "Stale",
  warning: "Has warnings",
  waiting: "Waiting",
  ok: "No warnings",
};

/** A sign for each, so that none is told by its colour alone. */
export const HEALTH_SIGNS: Record<Health, string> = {
  offline: "×",
  never: "?",
  stale: "~",
  warning: "!",
  waiting: "…",
  ok: "✓",
};

export function healthOf({ state, warnings }: FleetRow): Health {
  if (state !== "online") return state;
  return warnings.length > 0 ? "warning" : "ok";
}

/** The worst first; of the same health those with the most warnings, then by name. */
export function worstFirst(rows: readonly FleetRow[]): FleetRow[] {
  const rank = new Map(HEALTHS.map((health, at) => [health, at]));
  return [...rows].sort(
    (a, b) =>
      (rank.get(healthOf(a)) ?? 0) - (rank.get(healthOf(b)) ?? 0) ||
      b.warnings.length - a.warnings.length ||
      compareText(a.name, b.name),
  );
}

export interface HealthGroup {
  /** Beginning of the names; empty for the names that share theirs with few others. */
  prefix: string;
  total: number;
  counts: Record<Health, number>;
}

const GROUPS_MAX = 60;

/** Clusters by the beginning of their names, up to the first sign or digit; the groups with the worst clusters first. */
export function groupByPrefix(rows: readonly FleetRow[]): HealthGroup[] {
  const groups = new Map<string, HealthGroup>();
  for (const row of rows) {
    const prefix = /^[^\s\-_.,/:\d]*/.exec(row.name)?.[0] ?? "";
    add(groups, prefix, healthOf(row), 1);
  }
  const bad = ({ counts, total }: HealthGroup) => total - counts.ok - counts.waiting;
  const bySize = [...groups.values()].sort((a, b) => b.total - a.total);
  const rest = new Map<string, HealthGroup>();
  for (const { counts } of bySize.slice(GROUPS_MAX)) {
    for (const health of HEALTHS) add(rest, "", health, counts[health]);
  }
  return [...bySize.slice(0, GROUPS_MAX), ...rest.values()].sort(
    (a, b) => b.counts.offline - a.counts.offline || bad(b) - bad(a) || compareText(a.prefix, b.prefix),
  );
}

function add(groups: Map<string, HealthGroup>, prefix: string, health: Health, by: number): void {
  let group = groups.get(prefix);
  if (group === undefined) {
    group = { prefix, total: 0, counts: { offline: 0, never: 0, stale: 0, warning: 0, waiting: 0, ok: 0 } };
    groups.set(prefix, group);
  }
  group.total += by;
  group.counts[health] += by;
}
