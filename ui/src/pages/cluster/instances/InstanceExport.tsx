import type { Instance } from "@/api/tunnel";
import { DownloadIcon } from "@/components/icons";
import { Popover } from "@/components/Popover";
import { download, toCsv, toJson } from "@/lib/exporting";

interface Props {
  cluster: string;
  rows: readonly Instance[];
  columns: readonly (readonly [string, (row: Instance) => unknown])[];
}

/** The instances as they are shown now, as a file. */
export function InstanceExport({ cluster, rows, columns }: Props) {
  const file = `instances-${cluster.replace(/[^\w.-]/g, "_")}`;
  return (
    <Popover label="Export" icon={<DownloadIcon />} iconOnly>
      {(close) => (
        <div className="export">
          <button
            type="button"
            className="p-contextual-menu__link menu__entry"
            onClick={() => {
              download(`${file}.csv`, "text/csv;charset=utf-8", toCsv(rows, columns));
              close();
            }}
          >
            Export as CSV
          </button>
          <button
            type="button"
            className="p-contextual-menu__link menu__entry"
            onClick={() => {
              download(`${file}.json`, "application/json", toJson(rows, columns));
              close();
            }}
          >
            Export as JSON
          </button>
        </div>
      )}
    </Popover>
  );
}
