import { useCallback } from "react";
import { useSearchParams } from "react-router";
import { formatSort, parseSort, type Sort } from "@/lib/sorting";

/** The sort of a list, kept in the address so that a reload, a link and the way back show the same. */
export function useSortInAddress(columns: readonly string[], fallback: Sort): [Sort, (sort: Sort) => void] {
  const [params, setParams] = useSearchParams();
  const sort = parseSort(params.get("sort"), columns, fallback);
  const setSort = useCallback(
    (next: Sort) =>
      setParams((before) => {
        const after = new URLSearchParams(before);
        const text = formatSort(next, fallback);
        if (text === null) after.delete("sort");
        else after.set("sort", text);
        return after;
      }),
    [setParams, fallback],
  );
  return [sort, setSort];
}
