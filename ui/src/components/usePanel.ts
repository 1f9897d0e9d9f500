import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";

/** Fields of the panel that configures a cluster, as they are named in addresses. */
export type FocusField = "diskThreshold" | "memoryThreshold" | "description";

const KEYS = ["panel", "cluster", "focusField"] as const;

export interface Panel {
  /** Such as `enroll-cluster`; null for none. */
  name: string | null;
  cluster: string | null;
  focusField: string | null;
  open: (name: string, more?: { cluster?: string; focusField?: FocusField }) => void;
  close: () => void;
}

/** The side panel, which is a part of the address: a reload or a link opens it again. */
export function usePanel(): Panel {
  const [params, setParams] = useSearchParams();
  const change = useCallback(
    (values: Record<string, string>, replace: boolean) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          KEYS.forEach((key) => after.delete(key));
          for (const [key, value] of Object.entries(values)) after.set(key, value);
          return after;
        },
        { replace },
      ),
    [setParams],
  );
  const open = useCallback<Panel["open"]>((name, more = {}) => change({ panel: name, ...more }, false), [change]);
  const close = useCallback(() => change({}, true), [change]);
  const [name, cluster, focusField] = [params.get("panel"), params.get("cluster"), params.get("focusField")];
  return useMemo(() => ({ name, cluster, focusField, open, close }), [name, cluster, focusField, open, close]);
}
