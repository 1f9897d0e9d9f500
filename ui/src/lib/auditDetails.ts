import { exactTimeText } from "./dates";

/** What a record of the audit log says more, as one text: `disk_threshold: 80 → 90, groups: admins`. */
export function auditDetails(details: Readonly<Record<string, unknown>> | null): string {
  return Object.entries(details ?? {})
    .map(([key, value]) =>
      isChange(value) ? `${key}: ${plain(key, value.old)} → ${plain(key, value.new)}` : `${key}: ${plain(key, value)}`,
    )
    .join(", ");
}

/** The server writes what was changed with its old and its new value. */
function isChange(value: unknown): value is { old: unknown; new: unknown } {
  return typeof value === "object" && value !== null && "old" in value && "new" in value;
}

function plain(key: string, value: unknown): string {
  // Moments are seconds here.
  if (typeof value === "number" && key.endsWith("_at")) return exactTimeText(value * 1000);
  if (typeof value === "string") return value === "" ? "“”" : value;
  const texts: unknown[] = Array.isArray(value) && value.length > 0 ? value : [];
  return texts.length > 0 && texts.every((text) => typeof text === "string") ? texts.join(", ") : JSON.stringify(value);
}
