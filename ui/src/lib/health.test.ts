import { describe, expect, it } from "vitest";
import { fleetCluster } from "@/testing/clusters";
import { toFleetRow } from "./fleetRow";
import { groupByPrefix, healthOf, worstFirst } from "./health";

const row = (name: string, changes = {}) => toFleetRow(fleetCluster({ name, ...changes }));

describe("health", () => {
  it("puts the worst first", () => {
    const rows = [
      row("fine"),
      row("b-warned", { warnings: ["pool"] }),
      row("a-warned", { warnings: ["pool", "memory"] }),
      row("late", { state: "stale" }),
      row("gone", { state: "offline", warnings: ["heartbeat"] }),
      row("new", { state: "waiting" }),
      row("mute", { state: "never" }),
    ];
    expect(worstFirst(rows).map((one) => `${one.name} ${healthOf(one)}`)).toEqual([
      "gone offline",
      "mute never",
      "late stale",
      "a-warned warning",
      "b-warned warning",
      "new waiting",
      "fine ok",
    ]);
  });

  it("groups by the beginning of the names", () => {
    const groups = groupByPrefix([row("lyon-1"), row("lyon2"), row("oslo.x", { state: "offline" }), row("7up")]);
    expect(groups.map(({ prefix, total }) => [prefix, total])).toEqual([
      ["oslo", 1],
      ["", 1],
      ["lyon", 2],
    ]);
  });

  it("puts small groups together where there are too many", () => {
    const names = Array.from({ length: 500 }, (_, n) => String.fromCharCode(97 + (n % 26), 97 + Math.floor(n / 26)));
    const groups = groupByPrefix(names.map((name) => row(name)));
    expect(groups).toHaveLength(61);
    expect(groups.reduce((sum, { total }) => sum + total, 0)).toBe(500);
  });
});
