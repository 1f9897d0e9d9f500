// The language of the search box: words, "phrases" and terms such as `mem>80`, `-name:lab`, `status:offline`.
import { INSTANCE_STATUSES, MEMBER_STATUSES } from "./fleetRow";
import { fold } from "./search";

export const FIELDS = [
  "name",
  "desc",
  "status",
  "member",
  "instance",
  "warning",
  "mem",
  "disk",
  "load",
  "tunnel",
  "joined",
  "seen",
] as const;

export type Field = (typeof FIELDS)[number];
export type Operator = ":" | ">" | ">=" | "<" | "<=" | "=";

export interface Term {
  /** Null for a word that may be in the name or the description. */
  field: Field | null;
  operator: Operator;
  /** As typed, without quotes. */
  value: string;
  negated: boolean;
}

export interface Parsed {
  terms: Term[];
  /** One sentence for each part that makes no sense; such parts are left out of `terms`. */
  problems: string[];
}

const NUMBERS: readonly Field[] = ["mem", "disk", "load"];
const COUNTS: readonly Field[] = ["member", "instance", "warning"];
const AGES: readonly Field[] = ["joined", "seen"];
const STATES = ["online", "stale", "offline", "waiting", "never"];
const TERM = /^([a-z]+)(>=|<=|:|>|<|=)(.*)$/is;

/** What was typed, as terms. Nothing that is typed is an error: what makes no sense is told and left out. */
export function parseQuery(text: string): Parsed {
  const terms: Term[] = [];
  const problems: string[] = [];
  for (const { raw, quotedFrom } of split(text)) {
    const negated = raw.startsWith("-") && quotedFrom !== 0 && raw.length > 1;
    const body = negated ? raw.slice(1) : raw;
    const start = quotedFrom === null ? Infinity : quotedFrom - (negated ? 1 : 0);
    const found = TERM.exec(body);
    // What stands in quotes from its beginning is a phrase, whatever is in it.
    if (found === null || start < (found[1] ?? "").length + (found[2] ?? "").length) {
      if (body !== "") terms.push({ field: null, operator: ":", value: body, negated });
      continue;
    }
    const [, name = "", operator = ":", value = ""] = found;
    const field = FIELDS.find((one) => one === name.toLowerCase());
    const problem =
      field === undefined
        ? `There is no field “${name}”. Fields are ${FIELDS.join(", ")}.`
        : problemOf(field, operator as Operator, value);
    if (problem !== null) problems.push(problem);
    else if (field !== undefined) terms.push({ field, operator: operator as Operator, value, negated });
  }
  return { terms, problems };
}

/** The text that `parseQuery` makes these terms of. */
export function formatQuery(terms: readonly Term[]): string {
  return terms
    .map(({ field, operator, value, negated }) => {
      const sign = negated ? "-" : "";
      return field === null ? sign + quoteWord(value) : `${sign}${field}${operator}${quoteTerm(value)}`;
    })
    .join(" ");
}

/** A value as it is written behind a field. */
export function quoteTerm(value: string): string {
  return /[\s"\\]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value;
}

function quoteWord(value: string): string {
  return TERM.test(value) || value.startsWith("-") ? `"${value.replace(/["\\]/g, "\\$&")}"` : quoteTerm(value);
}

interface Part {
  /** Without its quotes. */
  raw: string;
  /** Where the first quoted piece begins in `raw`; null for none. */
  quotedFrom: number | null;
}

/** Splits at spaces outside of quotes. A quote that is still open goes up to the end: somebody is typing. */
function split(text: string): Part[] {
  const parts: Part[] = [];
  let raw = "";
  let quotedFrom: number | null = null;
  let quoted = false;
  let begun = false;
  const end = () => {
    if (begun) parts.push({ raw, quotedFrom });
    [raw, quotedFrom, begun] = ["", null, false];
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quoted && char === "\\" && at + 1 < text.length) {
      at += 1;
      raw += text.charAt(at);
    } else if (char === '"') {
      if (!quoted) quotedFrom ??= raw.length;
      quoted = !quoted;
      begun = true;
    } else if (!quoted && /\s/.test(char)) {
      end();
    } else {
      raw += char;
      begun = true;
    }
  }
  end();
  return parts;
}

function problemOf(field: Field, operator: Operator, value: string): string | null {
  if (value.trim() === "") return `“${field}${operator}” needs a value.`;
  if (NUMBERS.includes(field)) {
    return parseNumber(value) === null ? `“${field}” is compared with a number, such as ${field}>80.` : null;
  }
  if (AGES.includes(field)) {
    return parseAge(value) === null ? `“${field}” is compared with an age, such as ${field}>2h or ${field}<7d.` : null;
  }
  if (field === "status" && !(operator === ":" && STATES.includes(value.toLowerCase()))) {
    return `“status:” is one of ${STATES.join(", ")}.`;
  }
  if (field === "tunnel" && !(operator === ":" && /^(yes|no)$/i.test(value))) {
    return "“tunnel:” is yes or no.";
  }
  if (COUNTS.includes(field) && operator !== ":" && parseNumber(value) === null) {
    return `“${field}${operator}” is compared with a number, such as ${field}>3.`;
  }
  if (operator !== ":" && operator !== "=" && (field === "name" || field === "desc")) {
    return `“${field}” is searched with “${field}:”.`;
  }
  return null;
}

/** A number, also with a sign for percent or a decimal comma; null if it is none. */
export function parseNumber(text: string): number | null {
  const found = /^(\d+(?:[.,]\d+)?)\s*%?$/.exec(text.trim());
  return found === null ? null : Number((found[1] ?? "").replace(",", "."));
}

const UNIT_S: Record<string, number> = {
  s: 1,
  m: 60,
  min: 60,
  h: 3600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
};

/** Seconds of an age such as `90s`, `5m`, `2h`, `7d`, `3w`; null if it is none. */
export function parseAge(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
  const unit = UNIT_S[(found?.[2] ?? "").toLowerCase()];
  return found === null || unit === undefined ? null : Number(found[1]) * unit;
}

/** Compares as the operator says; `:` is "at least", as with the bounds that the filters offer. */
export function compare(value: number, operator: Operator, bound: number): boolean {
  switch (operator) {
    case ">":
      return value > bound;
    case "<":
      return value < bound;
    case "<=":
      return value <= bound;
    case "=":
      return value === bound;
    case ">=":
    case ":":
      return value >= bound;
  }
}

/** Whether the terms ask for statuses that the compact rows do not count. */
export function needsDetails(terms: readonly Term[]): boolean {
  return terms.some(
    ({ field, operator, value }) =>
      operator === ":" &&
      parseNumber(value) === null &&
      ((field === "member" && !MEMBER_STATUSES.some((status) => status === fold(value))) ||
        (field === "instance" && !INSTANCE_STATUSES.some((status) => status === fold(value)))),
  );
}
