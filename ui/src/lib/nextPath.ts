/**
 * The page to open after login: only pages of this application, so that a link cannot send people elsewhere.
 *
 * Gives the path below `/ui`, as the router wants it.
 */
export function nextPath(next: string | null): string {
  const fallback = "/clusters";
  if (next === null || !next.startsWith("/ui/") || /[\\\p{Cc}]/u.test(next)) return fallback;
  const path = next.slice("/ui".length);
  return path === "/" || path.startsWith("//") || path.startsWith("/login") ? fallback : path;
}

/** The address of the login, which comes back to `path` (a path below `/ui`) afterwards. */
export function loginPath(path: string): string {
  const next = nextPath(`/ui${path}`);
  return next === "/clusters" ? "/login" : `/login?next=${encodeURIComponent(`/ui${next}`)}`;
}
