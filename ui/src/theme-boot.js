// Runs before the first paint, as a blocking file in the head: sets the theme that was chosen in this browser.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // Storage is blocked in this browser: follow the system.
  }
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("is-dark", dark);
})();
