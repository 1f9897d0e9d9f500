import { beforeEach, describe, expect, it, vi } from "vitest";
import { chooseTheme, followSystemTheme, storedTheme } from "./theme";

const isDark = () => document.documentElement.classList.contains("is-dark");

/** A system whose theme the test sets. */
function system(dark: boolean) {
  const media = { matches: dark, listeners: new Set<() => void>() };
  vi.stubGlobal("matchMedia", () => ({
    get matches() {
      return media.matches;
    },
    addEventListener: (_: string, listener: () => void) => media.listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => media.listeners.delete(listener),
  }));
  return (next: boolean) => {
    media.matches = next;
    media.listeners.forEach((listener) => listener());
  };
}

describe("the theme", () => {
  beforeEach(() => document.documentElement.classList.remove("is-dark"));

  it("is the system's until one is chosen, and follows its changes", () => {
    const change = system(false);
    const stop = followSystemTheme();
    expect(storedTheme()).toBe("system");
    change(true);
    expect(isDark()).toBe(true);
    stop();
    change(false);
    expect(isDark()).toBe(true);
  });

  it("is remembered and stronger than the system", () => {
    const change = system(true);
    const stop = followSystemTheme();
    chooseTheme("light");
    expect(storedTheme()).toBe("light");
    expect(isDark()).toBe(false);
    change(true);
    expect(isDark()).toBe(false);
    chooseTheme("dark");
    expect(isDark()).toBe(true);
    stop();
  });

  it("works where the browser blocks storage", () => {
    system(false);
    vi.spyOn(Storage.prototype, "getItem").mockImplementation(() => {
      throw new Error("blocked");
    });
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new Error("blocked");
    });
    vi.spyOn(console, "info").mockImplementation(() => undefined);
    chooseTheme("dark");
    expect(isDark()).toBe(true);
    expect(storedTheme()).toBe("system");
  });
});
