/** Runs functions, at most so many at a time for each key; the others wait their turn. */
export function limiter(most: number) {
  const running = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();
  return async function limited<T>(key: string, work: () => Promise<T>): Promise<T> {
    if ((running.get(key) ?? 0) >= most) {
      await new Promise<void>((go) => waiting.set(key, [...(waiting.get(key) ?? []), go]));
    } else {
      running.set(key, (running.get(key) ?? 0) + 1);
    }
    try {
      return await work();
    } finally {
      const [next, ...rest] = waiting.get(key) ?? [];
      waiting.set(key, rest);
      // The place is handed on, so that nobody can slip in between.
      if (next !== undefined) next();
      else running.set(key, (running.get(key) ?? 1) - 1);
    }
  };
}
