import { ApiError } from "./client";

const REPEATS = 3;

/**
 * Whether a failed query is repeated at once: three times for failures that may pass, never for a refusal (4xx),
 * which would be the same again.
 */
export function shouldRetry(failures: number, error: Error): boolean {
  const refused = error instanceof ApiError && error.status >= 400 && error.status < 500;
  return !refused && failures < REPEATS;
}

/** Milliseconds before the next attempt: 0.5 s, 1 s, 2 s. */
export function retryDelay(failures: number): number {
  return 500 * 2 ** failures;
}
