import { DownloadIcon } from "@/components/icons";
import { Popover } from "@/components/Popover";
import { download, toCsv, toJson, type ExportColumn } from "@/lib/exporting";

interface Props<Row> {
  /** Name of the file, without its ending. */
  file: string;
  columns: readonly ExportColumn<Row>[];
  /** What is shown now, in this order. */
  rows: () => readonly Row[];
}

/** The rows as they are shown now, as a file. */
export function ExportMenu<Row>({ file, columns, rows }: Props<Row>) {
  const formats = [
    { label: "CSV", ending: "csv", type: "text/csv;charset=utf-8", write: toCsv },
    { label: "JSON", ending: "json", type: "application/json", write: toJson },
  ];
  return (
    <Popover label="Export" icon={<DownloadIcon />} iconOnly>
      {(close) => (
        <div className="export">
          {formats.map(({ label, ending, type, write }) => (
            <button
              key={ending}
              type="button"
              className="p-contextual-menu__link menu__entry"
              onClick={() => {
                download(`${file}.${ending}`, type, write(rows(), columns));
                close();
              }}
            >
              Export as {label}
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}
