import { useState, type ReactNode } from "react";
import { MoonIcon, ScreenIcon, SunIcon } from "@/components/icons";
import { chooseTheme, storedTheme, type Theme } from "@/lib/theme";

const CHOICES: [Theme, string, ReactNode][] = [
  ["light", "Light theme", <SunIcon key="icon" />],
  ["dark", "Dark theme", <MoonIcon key="icon" />],
  ["system", "Theme of the system", <ScreenIcon key="icon" />],
];

/** Light, dark, or as the system has it; remembered in this browser. */
export function ThemeSwitch() {
  const [theme, setTheme] = useState(storedTheme);
  return (
    <fieldset className="theme-switch">
      <legend className="u-off-screen">Theme</legend>
      {CHOICES.map(([value, label, icon]) => (
        <label key={value} className="theme-switch__choice" title={label}>
          <input
            type="radio"
            className="covered-input"
            name="theme"
            value={value}
            checked={theme === value}
            onChange={() => {
              chooseTheme(value);
              setTheme(value);
            }}
          />
          <span className="theme-switch__icon">{icon}</span>
          <span className="u-off-screen">{label}</span>
        </label>
      ))}
    </fieldset>
  );
}
