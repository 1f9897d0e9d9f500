import { useEffect, useState } from "react";

/** Gives the focus back to whatever had it before, when the component that calls this goes away. */
export function useReturnFocus(): void {
  const [before] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the next paint: what held the focus may itself be locked until then.
      requestAnimationFrame(() => {
        if (document.querySelector("[aria-modal=true]") !== null) return;
        const back = before instanceof HTMLElement && before.isConnected && before !== document.body;
        (back ? before : document.getElementById("main"))?.focus({ preventScroll: true });
      });
    },
    [before],
  );
}

/** Whether a media query holds, kept up to date. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const changed = () => setHolds(media.matches);
    changed();
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, [query]);
  return holds;
}
