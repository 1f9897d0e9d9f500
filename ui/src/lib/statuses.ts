import type { StatusCount } from "@/api/types";
import { visible } from "./visible";

const KNOWN = {
  members: [
    ["Online", "--state-online"],
    ["Offline", "--state-offline"],
    ["Evacuated", "--state-stale"],
    ["Blocked", "--state-waiting"],
  ],
  instances: [
    ["Running", "--state-online"],
    ["Stopped", "--state-never"],
    ["Frozen", "--state-waiting"],
    ["Error", "--state-offline"],
  ],
} as const;

const OTHER = "--state-other";

export interface StatusSlice {
  label: string;
  value: number;
  /** A custom property of the style sheet. */
  colour: string;
}

/**
 * The known statuses in their order, also at 0, then whatever else was reported under its own name. `Ready`, which LXD
 * says of a virtual machine whose agent answers, has the colour of `Running`.
 */
export function slicesOf(of: keyof typeof KNOWN, statuses: readonly StatusCount[]): StatusSlice[] {
  const known: readonly (readonly [string, string])[] = KNOWN[of];
  const is = (status: string, label: string) => status.toLowerCase() === label.toLowerCase();
  const sum = (label: string) =>
    statuses.filter(({ status }) => is(status, label)).reduce((all, { count }) => all + count, 0);
  const slices = known.map(([label, colour]) => ({ label, value: sum(label), colour }));
  const others = new Map<string, StatusSlice>();
  for (const { status, count } of statuses) {
    if (known.some(([label]) => is(status, label))) continue;
    const before = others.get(status)?.value ?? 0;
    const colour = is(status, "Ready") ? "--state-ready" : OTHER;
    others.set(status, { label: visible(status), value: before + count, colour });
  }
  return [...slices, ...others.values()];
}
