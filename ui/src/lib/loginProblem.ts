const PROBLEMS: Readonly<Record<string, string>> = {
  expired: "The login took too long, or it was begun in another browser. Log in again.",
  refused: "The identity provider did not let you in.",
  "provider-unavailable": "The identity provider cannot be reached. Try again in a moment.",
  failed: "The login did not work. If it fails again, ask your administrator: the server's log says why.",
};

/** What the code that the server put into the login page's address means; null for a code that it never puts there. */
export function loginProblem(code: string | null): string | null {
  return code !== null && Object.hasOwn(PROBLEMS, code) ? (PROBLEMS[code] ?? null) : null;
}
