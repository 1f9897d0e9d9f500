const KEY = "reloaded-for-missing-file";

/**
 * After an upgrade an open page asks for files that are gone: it is loaded afresh, but only once, so that a file that
 * is really missing does not end in a loop.
 */
export function reloadOnceForMissingChunks(): void {
  window.addEventListener("vite:preloadError", (event) => {
    try {
      if (sessionStorage.getItem(KEY) !== null) return;
      sessionStorage.setItem(KEY, "yes");
    } catch {
      return;
    }
    event.preventDefault();
    window.location.reload();
  });
}

/** Called when a page came up: the next missing file may reload again. */
export function allowReloadAgain(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Storage is blocked, so nothing was stored either.
  }
}
