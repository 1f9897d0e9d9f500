import { describe, expect, it } from "vitest";
import { fleetCluster } from "@/testing/clusters";
import { EXPORTED, toCsv, toJson } from "./exporting";
import { toFleetRow } from "./fleetRow";

const rows = [
  fleetCluster({ name: "lyon, edge", description: '=cmd|"/c calc"' }),
  fleetCluster({ name: "-oslo", description: "two\nlines", seen: null }),
].map(toFleetRow);

describe("exports", () => {
  it("[export-csv] follows RFC 4180 and keeps formulas from running", () => {
    const csv = toCsv(rows, EXPORTED.slice(0, 7));
    expect(csv).toBe(
      [
        "name,description,state,last_heartbeat_at,joined_at,members,members_not_online",
        '"lyon, edge","\'=cmd|""/c calc""",online,2026-11-22T05:02:11.000Z,2026-11-01T08:15:42.000Z,3,1',
        '\'-oslo,"two\nlines",online,,2026-11-01T08:15:42.000Z,,',
        "",
      ].join("\r\n"),
    );
    for (const start of ["=", "+", "-", "@"]) {
      expect(toCsv([start], [["v", (text) => `${text}1`]])).toBe(`v\r\n'${start}1\r\n`);
    }
    expect(toCsv([-5], [["v", (n) => n]])).toBe("v\r\n-5\r\n");
  });

  it("[export-json] has the same values with their types", () => {
    const [first, second] = JSON.parse(toJson(rows, EXPORTED)) as Record<string, unknown>[];
    expect(first).toMatchObject({ name: "lyon, edge", description: '=cmd|"/c calc"', members: 3, tunnel: true });
    expect(second).toMatchObject({ name: "-oslo", last_heartbeat_at: null, members: null });
    expect(Object.keys(first ?? {})).toEqual(EXPORTED.map(([name]) => name));
  });
});
