import { useCallback } from "react";
import { useSearchParams } from "react-router";

/** Sets keys of the address's query; null takes a key away. `replace` leaves no step for the way back. */
export function useAddress(): [URLSearchParams, (values: Record<string, string | null>, replace?: boolean) => void] {
  const [params, setParams] = useSearchParams();
  const change = useCallback(
    (values: Record<string, string | null>, replace = false) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [key, value] of Object.entries(values)) {
            if (value === null) after.delete(key);
            else after.set(key, value);
          }
          return after;
        },
        { replace },
      ),
    [setParams],
  );
  return [params, change];
}
