import type { FleetRow } from "./fleetRow";

/** Name of a column and its value for a row. */
export type ExportColumn<R> = readonly [string, (row: R) => unknown];

const time = (ms: number | null) => (ms === null ? "" : new Date(ms).toISOString());

/** What is exported of a cluster, in the order of the file. Amounts are bytes, shares are percent. */
export const EXPORTED: readonly ExportColumn<FleetRow>[] = [
  ["name", (row) => row.name],
  ["description", (row) => row.description],
  ["state", (row) => row.state],
  ["last_heartbeat_at", (row) => time(row.heartbeatAt)],
  ["joined_at", (row) => time(row.joinedAt)],
  ["members", (row) => row.figures?.members ?? null],
  ["members_not_online", (row) => row.figures?.membersNotOnline ?? null],
  ["members_offline", (row) => row.figures?.memberStatuses.offline ?? null],
  ["members_evacuated", (row) => row.figures?.memberStatuses.evacuated ?? null],
  ["members_blocked", (row) => row.figures?.memberStatuses.blocked ?? null],
  ["instances", (row) => row.figures?.instances ?? null],
  ["instances_running", (row) => row.figures?.running ?? null],
  ["instances_stopped", (row) => row.figures?.instanceStatuses.stopped ?? null],
  ["instances_frozen", (row) => row.figures?.instanceStatuses.frozen ?? null],
  ["instances_in_error", (row) => row.figures?.inError ?? null],
  ["cpu_load_1", (row) => row.figures?.load ?? null],
  ["memory_used", (row) => row.figures?.memory?.used ?? null],
  ["memory_total", (row) => row.figures?.memory?.total ?? null],
  ["storage_used", (row) => row.figures?.storage?.used ?? null],
  ["storage_total", (row) => row.figures?.storage?.total ?? null],
  ["fullest_pool", (row) => row.figures?.pool?.name ?? null],
  ["fullest_pool_percent", (row) => row.figures?.pool?.percent ?? null],
  ["tunnel", (row) => row.tunnel],
  ["disk_threshold", (row) => row.thresholds.disk],
  ["memory_threshold", (row) => row.thresholds.memory],
  ["warning_count", (row) => row.warnings.length],
  ["warnings", (row) => [...new Set(row.warnings)].join(" ")],
];

/** RFC 4180 in UTF-8: quoted where needed, lines ended by CRLF. Spreadsheets are kept from taking a text for a formula. */
export function toCsv<R>(rows: readonly R[], columns: readonly ExportColumn<R>[]): string {
  const lines = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, value]) => field(value(row))))];
  return lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

export function toJson<R>(rows: readonly R[], columns: readonly ExportColumn<R>[]): string {
  const objects = rows.map((row) =>
    Object.fromEntries(columns.map(([name, value]) => [name, value(row) === "" ? null : value(row)])),
  );
  return `${JSON.stringify(objects, null, 2)}\n`;
}

function field(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hands a text to the person as a file. */
export function download(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has taken the file over by then.
  setTimeout(() => URL.revokeObjectURL(address), 0);
}
