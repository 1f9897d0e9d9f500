import type { ReactNode } from "react";
import type { ClusterState } from "@/api/types";

export const STATE_LABELS: Record<ClusterState, string> = {
  online: "Online",
  stale: "Stale",
  offline: "Offline",
  waiting: "Waiting",
  never: "Never connected",
};

export const STATE_HINTS: Record<ClusterState, string> = {
  online: "Heartbeats arrive in time",
  stale: "The last heartbeats are late",
  offline: "No heartbeat for a long time",
  waiting: "Waiting for first heartbeat",
  never: "No heartbeat since it joined",
};

// A shape of its own for each state, so that none is told by its colour alone.
const SHAPES: Record<ClusterState, ReactNode> = {
  online: <circle cx="8" cy="8" r="5.5" fill="currentColor" />,
  stale: <path d="M8 1.8 15 14H1z" fill="currentColor" />,
  offline: <rect x="2.5" y="2.5" width="11" height="11" rx="1" fill="currentColor" />,
  waiting: <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" strokeWidth="2" strokeDasharray="3 2.2" />,
  never: <path d="M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3M4.5 11.5l7-7" fill="none" stroke="currentColor" strokeWidth="2" />,
};

export function StateIcon({ state }: { state: ClusterState }) {
  return (
    <svg className={`state-icon is-${state}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      {SHAPES[state]}
    </svg>
  );
}

/** Shape and word for a cluster's state. */
export function StateBadge({ state }: { state: ClusterState }) {
  return (
    <span className="state-badge" title={STATE_HINTS[state]}>
      <StateIcon state={state} />
      {STATE_LABELS[state]}
    </span>
  );
}
