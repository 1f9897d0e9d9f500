const rules = new Intl.PluralRules("en");
const numbers = new Intl.NumberFormat("en");

/** A number with its noun: `1 cluster`, `5,000 clusters`. */
export function count(n: number, singular: string, plural = `${singular}s`): string {
  return `${numbers.format(n)} ${rules.select(n) === "one" ? singular : plural}`;
}

/** A number with thousands separated: `5,000`. */
export function number(n: number): string {
  return numbers.format(n);
}
