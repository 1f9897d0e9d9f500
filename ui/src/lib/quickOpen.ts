import { fold } from "./search";

export interface Target {
  kind: "Page" | "Cluster" | "Token" | "Setting";
  label: string;
  /** Path below `/ui`. */
  to: string;
}

const SHOWN = 12;

/** What has all the typed words in its name: those that begin with them first, in the given order otherwise. */
export function quickMatches(targets: readonly Target[], text: string): Target[] {
  const words = fold(text)
    .split(/\s+/)
    .filter((word) => word !== "");
  const first: Target[] = [];
  const rest: Target[] = [];
  for (const target of targets) {
    const label = fold(target.label);
    if (!words.every((word) => label.includes(word))) continue;
    (label.startsWith(words[0] ?? "") ? first : rest).push(target);
    if (first.length >= SHOWN) break;
  }
  return [...first, ...rest].slice(0, SHOWN);
}
