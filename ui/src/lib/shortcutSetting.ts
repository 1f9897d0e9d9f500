import { read, write } from "./browserStorage";

const KEY = "shortcuts";

/** Whether single keys do something; people who dictate or whose hands shake switch them off (WCAG 2.1.4). */
export function shortcutsOn(): boolean {
  return read(KEY) !== "off";
}

export function switchShortcuts(on: boolean): void {
  write(KEY, on ? "on" : "off");
}
