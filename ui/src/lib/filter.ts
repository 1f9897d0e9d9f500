import type { ClusterDetails } from "@/api/queries";
import { INSTANCE_STATUSES, MEMBER_STATUSES, type FleetRow } from "./fleetRow";
import { compare, parseAge, parseNumber, type Term } from "./grammar";
import { fold } from "./search";

export interface Context {
  /** Milliseconds by the server's clock. */
  now: number;
  /** By name; only asked for statuses that the compact rows do not count. */
  details: ReadonlyMap<string, ClusterDetails> | undefined;
}

/** A test for rows: all terms have to match. */
export function toPredicate(terms: readonly Term[], context: Context): (row: FleetRow) => boolean {
  const tests = terms.map((term) => {
    const test = toTest(term, context);
    return term.negated ? (row: FleetRow) => !test(row) : test;
  });
  return (row) => tests.every((test) => test(row));
}

type Test = (row: FleetRow) => boolean;

function toTest({ field, operator, value }: Term, { now, details }: Context): Test {
  const text = fold(value);
  const bound = parseNumber(value);
  const measured = (of: (row: FleetRow) => number | null | undefined): Test => {
    const limit = bound ?? parseAge(value) ?? 0;
    return (row) => {
      const measure = of(row) ?? null;
      return measure !== null && compare(measure, operator, limit);
    };
  };
  const age = (at: number | null) => (at === null ? null : (now - at) / 1000);
  switch (field) {
    case null:
      return (row) => row.foldedName.includes(text) || row.foldedDescription.includes(text);
    case "name":
      return operator === "=" ? (row) => row.foldedName === text : (row) => row.foldedName.includes(text);
    case "desc":
      return operator === "=" ? (row) => row.foldedDescription === text : (row) => row.foldedDescription.includes(text);
    case "status":
      return (row) => row.state === text;
    case "tunnel":
      return (row) => row.tunnel === (text === "yes");
    case "mem":
      return measured((row) => row.figures?.memory?.percent);
    case "disk":
      return measured((row) => row.figures?.pool?.percent);
    case "load":
      return measured((row) => row.figures?.load);
    case "joined":
      return measured((row) => age(row.joinedAt));
    case "seen":
      return measured((row) => age(row.heartbeatAt));
    case "warning":
      if (operator !== ":" || bound !== null) return measured((row) => row.warnings.length);
      if (text === "yes" || text === "no") return (row) => row.warnings.length > 0 === (text === "yes");
      return (row) => row.warnings.includes(text);
    case "member":
      if (operator !== ":" || bound !== null) return measured((row) => row.figures?.members);
      return isListed(MEMBER_STATUSES, text)
        ? (row) => (row.figures?.memberStatuses[text] ?? 0) > 0
        : withStatus(details, "member_statuses", text);
    case "instance":
      if (operator !== ":" || bound !== null) return measured((row) => row.figures?.instances);
      return isListed(INSTANCE_STATUSES, text)
        ? (row) => (row.figures?.instanceStatuses[text] ?? 0) > 0
        : withStatus(details, "instance_statuses", text);
  }
}

function isListed<S extends string>(statuses: readonly S[], text: string): text is S {
  return statuses.some((status) => status === text);
}

function withStatus(details: Context["details"], key: "member_statuses" | "instance_statuses", status: string): Test {
  return (row) =>
    details?.get(row.name)?.[key].some(({ status: name, count }) => count > 0 && fold(name) === status) ?? false;
}
