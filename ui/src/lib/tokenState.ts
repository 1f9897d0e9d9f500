import type { JoinToken } from "@/api/types";
import { durationText } from "./age";
import { parseTime } from "./dates";

export type TokenState = "valid" | "soon" | "expired";

const SOON_MS = 3_600_000;

/** Valid, expiring within the hour, or expired. The server's word counts, and time that passes while the page is open. */
export function tokenState(token: Pick<JoinToken, "expired" | "expiry">, now: number): TokenState {
  const left = (parseTime(token.expiry) ?? 0) - now;
  if (token.expired || left <= 0) return "expired";
  return left < SOON_MS ? "soon" : "valid";
}

/** `6 days left`, or how long ago the token expired. */
export function timeLeftText(token: Pick<JoinToken, "expiry">, now: number): string {
  const left = ((parseTime(token.expiry) ?? 0) - now) / 1000;
  return left > 0 ? `${durationText(left)} left` : `${durationText(-left)} ago`;
}
