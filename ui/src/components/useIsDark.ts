import { useSyncExternalStore } from "react";

const root = () => document.documentElement;

function subscribe(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(root(), { attributeFilter: ["class"] });
  return () => observer.disconnect();
}

/** Whether the dark theme is in force, for drawings that cannot follow the style sheet by themselves. */
export function useIsDark(): boolean {
  return useSyncExternalStore(subscribe, () => root().classList.contains("is-dark"));
}
