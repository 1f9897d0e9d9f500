// Ages are counted by the server's clock: the browser's may be wrong by hours.

/** The header has whole seconds and travels; smaller differences are noise. */
const NOISE_MS = 2000;

let ahead = 0;

/** Learns from an answer how far the server's clock is ahead of the browser's. */
export function learnServerTime(dateHeader: string | null): void {
  const server = Date.parse(dateHeader ?? "");
  if (Number.isNaN(server)) return;
  const difference = server - Date.now();
  ahead = Math.abs(difference) < NOISE_MS ? 0 : difference;
}

/** Milliseconds by the server's clock. */
export function serverNow(): number {
  return Date.now() + ahead;
}
