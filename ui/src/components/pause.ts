import { useCallback, useSyncExternalStore } from "react";

// One switch for all pages: whoever pauses the updates wants the screen to stand still wherever they go.
let paused = false;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function isPaused(): boolean {
  return paused;
}

/** Whether the pages stand still, and the switch for it. */
export function usePaused(): [boolean, (paused: boolean) => void] {
  const now = useSyncExternalStore(subscribe, isPaused);
  const set = useCallback((next: boolean) => {
    paused = next;
    listeners.forEach((notify) => notify());
  }, []);
  return [now, set];
}
