import { describe, expect, it } from "vitest";
import { fleetCluster, cluster } from "@/testing/clusters";
import { toPredicate } from "./filter";
import { toFleetRow } from "./fleetRow";
import { FIELDS, formatQuery, needsDetails, parseAge, parseNumber, parseQuery, type Term } from "./grammar";
import { modernise } from "./oldAddress";

const NOW = Date.parse("2026-11-22T05:03:11Z");
const seconds = (ms: number) => ms / 1000;

const rows = [
  fleetCluster({ name: "Tokyo-1", description: "New York rack", tunnel: false, memory: [81, 100] }),
  fleetCluster({
    name: "lab-2",
    description: "Málaga",
    state: "offline",
    members: [3, 1, 0, 0, 1],
    seen: seconds(NOW - 3 * 86_400_000),
  }),
  fleetCluster({
    name: "edge-3",
    instances: [4, 0, 1, 0, 2],
    warnings: ["pool", "memory"],
    members: [3, 0, 0, 0, 0],
    load: "9.5",
  }),
  fleetCluster({ name: "new-4", state: "waiting", seen: null, joined: seconds(NOW - 60_000) }),
].map(toFleetRow);

const details = new Map([
  ["lab-2", cluster({ member_statuses: [{ status: "UPGRADING", count: 1 }] })],
  ["edge-3", cluster({ instance_statuses: [{ status: "Starting", count: 2 }] })],
  ["new-4", cluster({ member_statuses: [], instance_statuses: [{ status: "Starting", count: 0 }] })],
]);

const found = (query: string) =>
  rows.filter(toPredicate(parseQuery(query).terms, { now: NOW, details })).map(({ name }) => name);

describe("[search-grammar]", () => {
  it.each([
    ["", ["Tokyo-1", "lab-2", "edge-3", "new-4"]],
    ["Tokyo", ["Tokyo-1"]],
    ["malaga", ["lab-2"]],
    ['"new york"', ["Tokyo-1"]],
    ["new york", ["Tokyo-1"]],
    ["-lab", ["Tokyo-1", "edge-3", "new-4"]],
    ["-name:lab -name:new", ["Tokyo-1", "edge-3"]],
    ["name=new-4", ["new-4"]],
    ["name=new", []],
    ["desc:rack", ["Tokyo-1", "edge-3", "new-4"]],
    ["tunnel:no", ["Tokyo-1"]],
    ["tunnel:no mem>80", ["Tokyo-1"]],
    ["mem>81", []],
    ["mem>=81%", ["Tokyo-1"]],
    ["mem<50", ["lab-2", "edge-3"]],
    ["disk>=70", ["Tokyo-1", "lab-2", "edge-3"]],
    ["disk:70", ["Tokyo-1", "lab-2", "edge-3"]],
    ["load>9", ["edge-3"]],
    ["STATUS:Offline", ["lab-2"]],
    ["-status:online", ["lab-2", "new-4"]],
    ["seen>2d", ["lab-2"]],
    ["seen<5m", ["Tokyo-1", "edge-3"]],
    ["joined<1h", ["new-4"]],
    ["warning:pool", ["edge-3"]],
    ["warning>1", ["edge-3"]],
    ["warning:yes", ["edge-3"]],
    ["warning:no status:waiting", ["new-4"]],
    ["member:blocked", ["lab-2"]],
    ["member:evacuated", ["Tokyo-1"]],
    ["member:upgrading", ["lab-2"]],
    ["member:online", ["Tokyo-1", "lab-2", "edge-3"]],
    ["member=3", ["Tokyo-1", "lab-2", "edge-3"]],
    ["instance:frozen", ["edge-3"]],
    ["instance:stopped", ["Tokyo-1", "lab-2"]],
    ["instance:starting", ["edge-3"]],
    ["instance:error", ["edge-3"]],
    ["instance:running", ["Tokyo-1", "lab-2"]],
    ["instance<5", ["edge-3"]],
  ])("%s", (query, names) => {
    expect(parseQuery(query).problems).toEqual([]);
    expect(found(query)).toEqual(names);
  });

  it.each([
    ["colour:red", "There is no field “colour”."],
    ["mem>lots", "“mem” is compared with a number"],
    ["seen>soon", "“seen” is compared with an age"],
    ["status:broken", "“status:” is one of"],
    ["tunnel:maybe", "“tunnel:” is yes or no."],
    ["name>x", "“name” is searched with “name:”."],
    ["member>many", "“member>” is compared with a number"],
    ["mem:", "“mem:” needs a value."],
  ])("says what is wrong with %s and searches for the rest", (query, problem) => {
    const parsed = parseQuery(`${query} lab`);
    expect(parsed.problems.join()).toContain(problem);
    expect(parsed.terms.map(({ value }) => value)).toEqual(["lab"]);
  });

  it("takes what is quoted or begins with a digit for words", () => {
    expect(parseQuery('"mem>80"').terms[0]).toMatchObject({ field: null, value: "mem>80" });
    expect(parseQuery("10.0.0.1:8443").terms[0]).toMatchObject({ field: null, value: "10.0.0.1:8443" });
    expect(parseQuery("-").terms[0]).toMatchObject({ value: "-", negated: false });
    expect(parseQuery('"open end').terms[0]).toMatchObject({ value: "open end" });
    expect(parseQuery('name:"a \\"b\\""').terms[0]).toMatchObject({ field: "name", value: 'a "b"' });
    expect(parseQuery('""').terms).toEqual([]);
  });

  it("says which searches need the detailed list", () => {
    expect(needsDetails(parseQuery("member:evacuated instance:Frozen mem>5 member>3").terms)).toBe(false);
    expect(needsDetails(parseQuery("member:upgrading").terms)).toBe(true);
    expect(needsDetails(parseQuery("-instance:starting").terms)).toBe(true);
  });

  // Deterministic numbers: a failure can be repeated.
  function* random(seed: number): Generator<number, number> {
    let state = seed;
    for (;;) {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      yield state;
    }
  }

  it("goes from text to terms and back without loss", () => {
    const alphabet = ['"', "\\", " ", "-", ":", ">", "=", "a", "Z", "ß", "7", "%", "mem", "name:", "'"];
    const numbers = random(7);
    const next = (below: number) => numbers.next().value % below;
    for (let round = 0; round < 2000; round += 1) {
      const text = Array.from({ length: next(12) }, () => alphabet[next(alphabet.length)] ?? "").join("");
      const { terms } = parseQuery(text);
      expect(parseQuery(formatQuery(terms)), `${text} as ${formatQuery(terms)}`).toEqual({ terms, problems: [] });
    }
  });

  it("formats every field so that it is read again", () => {
    const values: Partial<Record<Term["field"] & string, string>> = {
      status: "stale",
      tunnel: "yes",
      joined: "2h",
      seen: "7d",
    };
    for (const field of FIELDS) {
      const term: Term = { field, operator: ":", value: values[field] ?? "80", negated: true };
      expect(parseQuery(formatQuery([term]))).toEqual({ terms: [term], problems: [] });
    }
  });

  it("reads numbers and ages as people write them", () => {
    expect([parseNumber("80"), parseNumber("80 %"), parseNumber("1,5"), parseNumber("-1"), parseNumber("x")]).toEqual([
      80,
      80,
      1.5,
      null,
      null,
    ]);
    expect([
      parseAge("90s"),
      parseAge("5min"),
      parseAge("1.5h"),
      parseAge("2days"),
      parseAge("5"),
      parseAge("5y"),
    ]).toEqual([90, 300, 5400, 172_800, null, null]);
  });
});

describe("links of earlier days", () => {
  it("become the same search in one key", () => {
    const old =
      "query=lyon&query=rack&instance-status=Error&node-status=Blocked&memory-usage=>50%25&pool-usage=>90%25&sort=name";
    expect(modernise(new URLSearchParams(old))?.toString()).toBe(
      new URLSearchParams({
        sort: "name",
        query: "lyon rack instance:error member:blocked mem>=50 disk>=90",
      }).toString(),
    );
  });

  it("leaves today's links alone", () => {
    expect(modernise(new URLSearchParams("query=a+b&sort=name"))).toBeNull();
  });
});
