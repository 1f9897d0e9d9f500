import type { BulkResult } from "@/api/types";

/** Names per request, and requests under way at a time: few enough that progress is seen and `Stop` stops soon. */
const CHUNK = 100;
const AT_ONCE = 3;

export interface Progress {
  total: number;
  done: number;
  failed: BulkResult[];
  /** Names that were not tried, because somebody stopped it. */
  left: string[];
}

/**
 * Does something to many clusters, a part at a time, and tells after each part how far it is.
 *
 * `send` gives a result per name; if the whole request fails, all of its names have failed. Nothing is repeated by
 * itself. After an abort nothing more is sent; what is under way is waited for.
 */
export async function runBulk(
  names: readonly string[],
  send: (names: readonly string[]) => Promise<BulkResult[]>,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<Progress> {
  const progress: Progress = { total: names.length, done: 0, failed: [], left: [] };
  let next = 0;
  const worker = async () => {
    while (next < names.length && !signal.aborted) {
      const part = names.slice(next, next + CHUNK);
      next += part.length;
      const results = await send(part).catch((error: unknown) => part.map((name) => failure(name, error)));
      const byName = new Map(results.map((result) => [result.name, result]));
      for (const name of part) {
        const result = byName.get(name) ?? { name, status: 0, error: "The server did not say what came of it." };
        progress.done += 1;
        if (result.status !== 200) progress.failed.push(result);
      }
      onProgress({ ...progress, failed: [...progress.failed] });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { ...progress, left: names.slice(next) };
}

function failure(name: string, error: unknown): BulkResult {
  return { name, status: 0, error: error instanceof Error ? error.message : "The request failed." };
}
