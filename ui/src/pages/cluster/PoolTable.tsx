import { useState } from "react";
import type { StoragePool } from "@/api/types";
import { DataTable, type Column } from "@/components/DataTable";
import { UsageBar } from "@/components/UsageBar";
import { Visible } from "@/components/Visible";
import { count } from "@/lib/count";
import { percentOf, sizeText } from "@/lib/size";
import { compareText, type Sort } from "@/lib/sorting";

const ROW_HEIGHT = 40;

interface Props {
  pools: StoragePool[];
  threshold: number;
  heading?: boolean;
}

/** The storage pools, the fullest first. */
export function PoolTable({ pools, threshold, heading = false }: Props) {
  const [sort, setSort] = useState<Sort>({ id: "percent", desc: true });
  return (
    <section className="block">
      {heading && <h2 className="p-heading--5">{count(pools.length, "storage pool")}</h2>}
      {pools.length === 0 ? (
        <p className="u-text--muted">None reported</p>
      ) : (
        <DataTable
          label="Storage pools"
          className="pool-table"
          columns={columns(threshold)}
          rows={pools}
          rowKey={(pool) => `${pool.name}/${pool.member}`}
          rowHeight={ROW_HEIGHT}
          sort={sort}
          onSort={setSort}
        />
      )}
    </section>
  );
}

const share = (pool: StoragePool) => (pool.total > 0 ? (pool.usage / pool.total) * 100 : 0);

function columns(threshold: number): Column<StoragePool>[] {
  return [
    {
      id: "name",
      label: "Storage Pool",
      className: "col-name",
      rowHeader: true,
      compare: (a, b) => compareText(a.name, b.name),
      cell: (pool) => <Visible text={pool.name} />,
    },
    {
      id: "member",
      label: "Location",
      className: "col-member",
      compare: (a, b) => compareText(a.member, b.member),
      cell: (pool) => (pool.member === "" ? "cluster wide" : <Visible text={pool.member} />),
    },
    {
      id: "percent",
      label: "Percent Used",
      className: "col-percent",
      largestFirst: true,
      compare: (a, b) => share(a) - share(b),
      cell: (pool) => (
        <UsageBar percent={share(pool)} threshold={threshold}>
          {percentOf(pool.usage, pool.total)} %{" "}
          <span className="cell-of pool-table__size">of {sizeText(pool.total)}</span>
        </UsageBar>
      ),
    },
    {
      id: "used",
      label: "Total Used",
      className: "col-used",
      largestFirst: true,
      compare: (a, b) => a.usage - b.usage,
      cell: (pool) => sizeText(pool.usage),
    },
    {
      id: "size",
      label: "Total Size",
      className: "col-size",
      largestFirst: true,
      compare: (a, b) => a.total - b.total,
      cell: (pool) => sizeText(pool.total),
    },
  ];
}
