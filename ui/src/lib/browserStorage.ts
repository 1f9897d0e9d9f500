/** A remembered value of this browser; null where there is none or storage is blocked. */
export function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Remembers a value in this browser. Where storage is blocked the choice lasts until the page is closed. */
export function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch (error) {
    console.info("this browser does not store settings", error);
  }
}
