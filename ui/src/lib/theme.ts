import { read, write } from "./browserStorage";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "theme";
const systemIsDark = () => window.matchMedia("(prefers-color-scheme: dark)");

/** The theme chosen in this browser; `system` where none was, or where storage is blocked. */
export function storedTheme(): Theme {
  const stored = read(KEY);
  return THEMES.find((theme) => theme === stored) ?? "system";
}

/** Shows a theme and remembers it. */
export function chooseTheme(theme: Theme): void {
  write(KEY, theme);
  applyTheme(theme);
}

/** Keeps the page in step with the system while the choice is `system`. Gives the function that stops it. */
export function followSystemTheme(): () => void {
  const media = systemIsDark();
  const changed = () => applyTheme(storedTheme());
  media.addEventListener("change", changed);
  return () => media.removeEventListener("change", changed);
}

function applyTheme(theme: Theme): void {
  const dark = theme === "dark" || (theme === "system" && systemIsDark().matches);
  document.documentElement.classList.toggle("is-dark", dark);
}
