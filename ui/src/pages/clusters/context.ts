import { useOutletContext } from "react-router";

/** What the page hands to its tabs. */
export interface ClustersContext {
  /** Opens the panel that enrols a cluster. */
  onEnrol: () => void;
}

export function useClustersContext(): ClustersContext {
  return useOutletContext<ClustersContext>();
}
