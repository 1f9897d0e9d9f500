import { formatQuery, type Term } from "./grammar";

const KEYS = ["instance-status", "node-status", "memory-usage", "pool-usage"] as const;

/**
 * Links of earlier days have a key per filter and a `query` per word: the same search in today's one `query`, or null
 * where there is nothing to change.
 */
export function modernise(params: URLSearchParams): URLSearchParams | null {
  const words = params.getAll("query");
  if (words.length < 2 && !KEYS.some((key) => params.has(key))) return null;
  const term = (field: Term["field"], operator: Term["operator"], value: string): Term => ({
    field,
    operator,
    value,
    negated: false,
  });
  const bounds = (key: string, field: Term["field"]) =>
    params.getAll(key).flatMap((text) => {
      const percent = /(\d+)/.exec(text)?.[1];
      return percent === undefined ? [] : [term(field, ">=", percent)];
    });
  const terms = [
    ...params.getAll("instance-status").map((status) => term("instance", ":", status.toLowerCase())),
    ...params.getAll("node-status").map((status) => term("member", ":", status.toLowerCase())),
    ...bounds("memory-usage", "mem"),
    ...bounds("pool-usage", "disk"),
  ];
  const after = new URLSearchParams(params);
  KEYS.forEach((key) => after.delete(key));
  after.delete("query");
  const query = [...words, formatQuery(terms)].filter((text) => text !== "").join(" ");
  if (query !== "") after.set("query", query);
  return after;
}
