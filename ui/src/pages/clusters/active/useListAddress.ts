import { useEffect, useMemo } from "react";
import { useSearchParams } from "react-router";
import { useAddress } from "@/components/useAddress";
import { read, write } from "@/lib/browserStorage";
import { modernise } from "@/lib/oldAddress";
import { SORTABLE, USUAL } from "./columns";

const COLUMNS_KEY = "cluster-list-columns";
const PAGE_SIZES = [50, 100, 200] as const;
export const PAGE_CHOICES: readonly (number | null)[] = [null, ...PAGE_SIZES];

/** Which columns are shown: as the address says, else as chosen in this browser, else the usual ones. */
export function useColumns(): [readonly string[], (columns: readonly string[]) => void] {
  const [params, change] = useAddress();
  const text = params.get("columns") ?? read(COLUMNS_KEY);
  const columns = useMemo(() => {
    const known = text?.split(",").filter((id) => SORTABLE.includes(id)) ?? [];
    return known.length > 0 ? known : USUAL;
  }, [text]);
  const choose = (next: readonly string[]) => {
    const chosen = SORTABLE.filter((id) => next.includes(id)).join(",");
    write(COLUMNS_KEY, chosen);
    change({ columns: chosen === USUAL.join(",") ? null : chosen });
  };
  return [columns, choose];
}

export interface Paging {
  /** Rows per page; null for one long page. */
  size: number | null;
  /** From 0 on. */
  index: number;
  pages: number;
  setSize: (size: number | null) => void;
  setIndex: (index: number) => void;
}

/** The page that is shown of `total` rows; one long page unless somebody wants otherwise. */
export function usePaging(total: number): Paging {
  const [params, change] = useAddress();
  const wanted = Number(params.get("per-page"));
  const size = PAGE_SIZES.find((one) => one === wanted) ?? null;
  const pages = size === null ? 1 : Math.max(1, Math.ceil(total / size));
  const asked = Number(params.get("page") ?? 1);
  const index = Math.min(pages, Math.max(1, Number.isInteger(asked) ? asked : 1)) - 1;
  return {
    size,
    index,
    pages,
    setSize: (next) => change({ "per-page": next === null ? null : String(next), page: null }),
    setIndex: (next) => change({ page: next === 0 ? null : String(next + 1) }),
  };
}

/** Turns addresses of earlier days into today's, once, without a step for the way back. */
export function useModernAddress(): void {
  const [params, setParams] = useSearchParams();
  useEffect(() => {
    const modern = modernise(params);
    if (modern !== null) setParams(modern, { replace: true });
  }, [params, setParams]);
}
