import type { ApiError } from "@/api/client";

/** What to do about each failure, in one sentence; the server's words say what happened. */
const ADVICE: Record<number, string> = {
  0: "Check the network, then try again.",
  409: "Reload the page to see what is there now.",
  413: "Send less at once: shorter texts, or fewer clusters.",
  429: "Wait a moment, then try again.",
  500: "Try again; if it stays so, tell your administrator.",
  502: "Try again in a moment; if it stays so, see whether the Cluster Manager runs behind its proxy.",
  503: "Try again in a moment.",
  504: "Try again; something may be busy or out of reach.",
};

/** Failures after which nobody here knows whether the server has done what it was asked. */
const UNSURE = [0, 500, 502, 504];

/** What to do about a failure; empty where the server's own words say it. */
export function advice({ status, message, more }: Pick<ApiError, "status" | "message" | "more">): string {
  const parts: string[] = [];
  const wait = more.retryAfter ?? null;
  if (more.changes === true && UNSURE.includes(status)) {
    parts.push("It may have been done all the same: look before you do it again.");
  }
  if (wait !== null && wait > 0 && (status === 429 || status === 503)) {
    parts.push(`Wait ${wait} s, then try again.`);
  } else if (!/try again|wait a moment/i.test(message)) {
    parts.push(ADVICE[status] ?? "");
  }
  return parts.filter((part) => part !== "").join(" ");
}
