import {
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
} from "@tanstack/react-table";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import classNames from "classnames";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { Sort } from "@/lib/sorting";

/** Up to here every row is drawn; above, only those near the window. */
const DRAW_ALL_BELOW = 100;
const OVERSCAN = 8;

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });

export interface Column<Row> {
  id: string;
  /** Text of the header; also its accessible name. */
  label: string;
  /** Drawn in place of the label, for columns of controls. */
  header?: ReactNode;
  className?: string;
  /** Ascending order; columns without it cannot be sorted. */
  compare?: (a: Row, b: Row) => number;
  /** For amounts: the first click shows the largest. */
  largestFirst?: boolean;
  /** Names the row: drawn as its header. */
  rowHeader?: boolean;
  cell: (row: Row) => ReactNode;
}

interface Props<Row> {
  label: string;
  className?: string;
  /** Must be the same array as long as nothing changes. */
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  rowClassName?: (row: Row) => string | undefined;
  /** Pixels; every row has this height. */
  rowHeight: number;
  sort: Sort;
  onSort: (sort: Sort) => void;
  /** Shows one page of the rows; all of them without it. */
  page?: { index: number; size: number } | null;
  /** Told which rows are shown in which order, on all pages. */
  onOrder?: (keys: readonly string[]) => void;
}

/** A sortable table that stays quick with thousands of rows. The page scrolls, not the table. */
export function DataTable<Row extends object>(props: Props<Row>) {
  const { label, className, columns, rows, rowKey, rowClassName, rowHeight, sort, onSort, page, onOrder } = props;
  const definitions = useMemo(() => columns.map((column) => definition(column)), [columns]);
  // A new array would make the table sort again at every step of scrolling.
  const { id, desc } = sort;
  const sorting = useMemo(() => [{ id, desc }], [id, desc]);
  const table = useTable({
    features,
    columns: definitions,
    data: rows,
    getRowId: rowKey,
    enableSortingRemoval: false,
    enableMultiSort: false,
    state: { sorting },
    onSortingChange: (updater) => {
      const next = typeof updater === "function" ? updater(sorting) : updater;
      if (next[0] !== undefined) onSort(next[0]);
    },
  });
  const ordered = table.getRowModel().rows;
  useEffect(() => onOrder?.(ordered.map((row) => row.id)), [onOrder, ordered]);
  const start = page ? page.index * page.size : 0;
  const sorted = page ? ordered.slice(start, start + page.size) : ordered;

  const body = useRef<HTMLTableSectionElement>(null);
  const top = useDocumentTop(body);
  const virtual = sorted.length > DRAW_ALL_BELOW;
  const virtualizer = useWindowVirtualizer({
    count: sorted.length,
    enabled: virtual,
    estimateSize: () => rowHeight,
    getItemKey: (index) => sorted[index]?.id ?? index,
    overscan: OVERSCAN,
    scrollMargin: top,
  });
  // The heights of all rows are known, so a change of the density has to be told.
  useLayoutEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);

  const items = virtualizer.getVirtualItems();
  const first = virtual ? (items[0]?.index ?? 0) : 0;
  const end = virtual ? (items.at(-1)?.index ?? -1) + 1 : sorted.length;

  return (
    <div className="scrollable-table">
      <table className={classNames("data-table", className)} aria-label={label} aria-rowcount={ordered.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <HeaderCell
                key={column.id}
                column={column}
                direction={sort.id === column.id ? (sort.desc ? "descending" : "ascending") : "none"}
                onSort={() => table.getColumn(column.id)?.toggleSorting()}
              />
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {first > 0 && <Spacer height={first * rowHeight} columns={columns.length} />}
          {sorted.slice(first, end).map((row, offset) => (
            <BodyRow
              key={row.id}
              row={row.original}
              columns={columns as Column<object>[]}
              className={rowClassName?.(row.original)}
              index={start + first + offset + 2}
            />
          ))}
          {end < sorted.length && <Spacer height={(sorted.length - end) * rowHeight} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function definition<Row extends object>(column: Column<Row>): ColumnDef<typeof features, Row> {
  const { compare } = column;
  return {
    id: column.id,
    accessorFn: (row: Row) => row,
    enableSorting: compare !== undefined,
    sortDescFirst: column.largestFirst ?? false,
    ...(compare === undefined ? {} : { sortFn: (a, b) => compare(a.original, b.original) }),
  };
}

interface HeaderProps {
  column: { label: string; header?: ReactNode; className?: string; compare?: unknown };
  direction: "ascending" | "descending" | "none";
  onSort: () => void;
}

function HeaderCell({ column, direction, onSort }: HeaderProps) {
  if (column.compare === undefined) {
    return (
      <th scope="col" className={column.className}>
        {column.header ?? <span className="u-off-screen">{column.label}</span>}
      </th>
    );
  }
  return (
    <th scope="col" className={column.className} aria-sort={direction}>
      <button type="button" className="data-table__sort" onClick={onSort}>
        <span>{column.label}</span>
        <span className="data-table__arrow" aria-hidden="true" />
      </button>
    </th>
  );
}

interface RowProps {
  row: object;
  columns: Column<object>[];
  className: string | undefined;
  index: number;
}

// Unchanged rows are not drawn again when others arrive, leave or change.
const BodyRow = memo(function BodyRow({ row, columns, className, index }: RowProps) {
  return (
    <tr className={className} aria-rowindex={index} tabIndex={-1}>
      {columns.map((column) =>
        column.rowHeader === true ? (
          <th key={column.id} scope="row" className={column.className}>
            {column.cell(row)}
          </th>
        ) : (
          <td key={column.id} className={column.className}>
            {column.cell(row)}
          </td>
        ),
      )}
    </tr>
  );
});

/** Takes the place of the rows that are not drawn. */
function Spacer({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden="true" className="data-table__spacer">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

/** How far below the top of the document an element begins; what stands above it may come and go. */
function useDocumentTop(element: React.RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => {
      if (element.current !== null) {
        setTop(Math.round(element.current.getBoundingClientRect().top + window.scrollY));
      }
    };
    measure();
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [element]);
  return top;
}
