export const NAME_HELP =
  "Up to 63 letters, digits, hyphens, underscores and dots. The first and the last are a letter or a digit.";

/** What is wrong with a new cluster's name, in words for the person who types it; null if it is good. */
export function nameProblem(name: string): string | null {
  if (name === "") return "Enter a name for the cluster.";
  if (name.length > 63) return `The name has ${name.length} characters; 63 are allowed.`;
  const bad = /[^A-Za-z0-9._-]/u.exec(name)?.[0];
  if (bad !== undefined) {
    const shown = bad.trim() === "" ? "A space" : `The character “${bad}”`;
    return `${shown} is not allowed. Use letters, digits, hyphens, underscores and dots.`;
  }
  if (!/^[A-Za-z0-9]/.test(name)) return "The name must start with a letter or a digit.";
  if (!/[A-Za-z0-9]$/.test(name)) return "The name must end with a letter or a digit.";
  return null;
}
