import { count } from "./count";

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

/** A length of time in its largest sensible unit: `42 s`, `7 min`, `3 h`, `9 days`. Hours go up to two days. */
export function durationText(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE_S) return `${s} s`;
  if (s < HOUR_S) return `${Math.floor(s / MINUTE_S)} min`;
  if (s < 2 * DAY_S) return `${Math.floor(s / HOUR_S)} h`;
  return count(Math.floor(s / DAY_S), "day");
}

/** How long ago `at` was when the clock says `now`, both in milliseconds: `42 s ago`. */
export function ageText(at: number, now: number): string {
  return `${durationText((now - at) / 1000)} ago`;
}

/** A running clock since `at`: `0:42`, `12:05`, `3:04:10`, and whole days from two days on. */
export function sinceText(at: number, now: number): string {
  const s = Math.max(0, Math.floor((now - at) / 1000));
  if (s >= 2 * DAY_S) return durationText(s);
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor((s % HOUR_S) / MINUTE_S);
  return s < HOUR_S
    ? `${minutes}:${two(s % MINUTE_S)}`
    : `${Math.floor(s / HOUR_S)}:${two(minutes)}:${two(s % MINUTE_S)}`;
}
