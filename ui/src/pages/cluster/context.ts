import { useOutletContext } from "react-router";
import type { Cluster } from "@/api/types";
import type { FocusField } from "@/components/usePanel";

/** What the page of a cluster hands to its tabs. */
export interface ClusterContext {
  cluster: Cluster;
  /** Whether this person may change the cluster. */
  mayChange: boolean;
  /** Opens the panel that configures the cluster, with the focus in a field. */
  configure: (focusField?: FocusField) => void;
}

export function useClusterContext(): ClusterContext {
  return useOutletContext<ClusterContext>();
}
