const MAX = 512;

/** Controls other than a line feed, and what changes the direction of the text around it. */
const REFUSED = /[^\n\P{Cc}]|[\u202A-\u202E\u2066-\u2069]/u;

/** What is wrong with a cluster's description while it is typed; true if it is good. Characters are counted as the server does. */
export function checkDescription(text: string): string | true {
  const length = Array.from(text).length;
  if (length > MAX) return `The description has ${length} characters; ${MAX} are allowed.`;
  const found = REFUSED.exec(text)?.[0];
  if (found === undefined) return true;
  const code = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `The description has a character that cannot be seen (U+${code}): remove it.`;
}
