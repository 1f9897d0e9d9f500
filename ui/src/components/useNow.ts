import { useSyncExternalStore } from "react";
import { serverNow } from "@/api/serverClock";

// One ticker for every age on the page; it stands still while nothing shows an age.
const TICK_MS = 1000;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let now = serverNow();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    now = serverNow();
    timer = setInterval(() => {
      now = serverNow();
      listeners.forEach((notify) => notify());
    }, TICK_MS);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The server's time in milliseconds, renewed each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** Something made of the time; draws again only when the result changes, such as an age in minutes. */
export function useNowText(text: (now: number) => string): string {
  return useSyncExternalStore(subscribe, () => text(now));
}
