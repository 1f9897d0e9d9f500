const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** Milliseconds of an RFC 3339 text. Absent, unreadable, and the zero times of servers (year 1, epoch) give null. */
export function parseTime(text: string | null | undefined): number | null {
  if (!text) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms <= 0 ? null : ms;
}

/** Date and time in the browser's language, `Never` for no time. */
export function dateTimeText(ms: number | null): string {
  return ms === null ? "Never" : dateTime.format(ms);
}

/** Date and time with seconds, for tooltips. */
export function exactTimeText(ms: number | null): string {
  return ms === null ? "Never" : exact.format(ms);
}

/** The time of day. */
export function timeText(ms: number): string {
  return timeOfDay.format(ms);
}

/** A moment in few characters: the time within 12 hours, the day within half a year, else the date. */
export function shortTimeText(ms: number, now: number): string {
  const hours = (now - ms) / 3_600_000;
  if (hours < 12) return timeOfDay.format(ms);
  return hours < 183 * 24 ? dayOfYear.format(ms) : dateOnly.format(ms);
}

/** A moment on the axis of a chart over so many seconds: the time of day, or the day where the span has several. */
export function axisTimeText(ms: number, spanSeconds: number): string {
  return spanSeconds <= 2 * 86_400 ? timeOfDay.format(ms) : dayOfYear.format(ms);
}

/** The browser's time zone as people write it: `Europe/Oslo (GMT+1)`. */
export function timeZoneText(at: number): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" })
    .formatToParts(at)
    .find((part) => part.type === "timeZoneName")?.value;
  return offset === undefined || offset === zone ? zone : `${zone} (${offset})`;
}

/** The value of a `datetime-local` input for a time: local, to the minute. */
export function toLocalInput(ms: number): string {
  const date = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
