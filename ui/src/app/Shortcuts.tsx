import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { shortcutsOn } from "@/lib/shortcutSetting";

const ShortcutList = lazy(() => import("./ShortcutList"));
const QuickOpen = lazy(() => import("./QuickOpen"));

/** After `g` the next key says where to. */
const PLACES: Record<string, string> = {
  o: "/overview",
  c: "/clusters",
  t: "/clusters/tokens",
  s: "/settings",
};
const CHORD_MS = 1500;

/** Keys that do something by themselves, outside of inputs and dialogs; and Ctrl+K, which finds anything. */
export function Shortcuts() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [shown, setShown] = useState<"list" | "open" | null>(null);
  const chord = useRef(0);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setShown("open");
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || !shortcutsOn() || isTyping(event.target)) return;
      if (document.querySelector("[aria-modal=true]") !== null) return;
      const afterG = Date.now() - chord.current < CHORD_MS;
      chord.current = 0;
      const place = PLACES[event.key];
      const done =
        afterG && place !== undefined
          ? () => void navigate(place)
          : event.key === "g"
            ? () => (chord.current = Date.now())
            : actionOf(event.key);
      if (done === undefined) return;
      event.preventDefault();
      done();
    };
    const actionOf = (key: string): (() => void) | undefined => {
      switch (key) {
        case "/":
          return () => document.querySelector<HTMLElement>("main input[type=search]")?.focus();
        case "e":
          return () => void navigate("/clusters?panel=enroll-cluster");
        case "r":
          return () => void client.refetchQueries({ type: "active" });
        case "j":
          return () => moveRow(1);
        case "k":
          return () => moveRow(-1);
        case "x":
          return () => currentRow()?.querySelector<HTMLElement>("input[type=checkbox]")?.click();
        case "Enter":
          // On a button or a link the key is theirs.
          return document.activeElement === currentRow() && currentRow() !== null
            ? () => currentRow()?.querySelector<HTMLElement>("th a")?.click()
            : undefined;
        case "?":
          return () => setShown("list");
        default:
          return undefined;
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, client]);

  const close = () => setShown(null);
  return (
    <Suspense fallback={null}>
      {shown === "list" && <ShortcutList onClose={close} />}
      {shown === "open" && <QuickOpen onClose={close} />}
    </Suspense>
  );
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}

function currentRow(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>(".data-table tbody tr[aria-rowindex]") ?? null;
}

function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main .data-table tbody tr[aria-rowindex]")];
  const current = currentRow();
  const next = current === null ? rows[0] : rows[rows.indexOf(current) + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
