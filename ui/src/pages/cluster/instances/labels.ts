import type { InstanceAction } from "@/api/tunnel";

export const ACTION_LABELS: Record<InstanceAction, string> = {
  start: "Start",
  stop: "Stop",
  restart: "Restart",
  freeze: "Freeze",
  unfreeze: "Unfreeze",
};

const POSSIBLE = new Map<string, readonly InstanceAction[]>([
  ["running", ["stop", "restart", "freeze"]],
  ["ready", ["stop", "restart", "freeze"]],
  ["stopped", ["start"]],
  ["frozen", ["unfreeze", "stop"]],
  ["error", ["start", "stop", "restart"]],
]);

/** What makes sense for at least one of the statuses, in the order of the labels. */
export function actionsFor(statuses: readonly string[]): InstanceAction[] {
  const possible = new Set(statuses.flatMap((status) => POSSIBLE.get(status.toLowerCase()) ?? []));
  return (Object.keys(ACTION_LABELS) as InstanceAction[]).filter((action) => possible.has(action));
}
