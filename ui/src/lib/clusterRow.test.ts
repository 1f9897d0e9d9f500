import { describe, expect, it } from "vitest";
import { cluster } from "@/testing/clusters";
import { loadText, toRow } from "./clusterRow";

describe("toRow", () => {
  it("counts every status, also those that it does not know, and Ready as running", () => {
    const { figures } = toRow(cluster());
    expect(figures).toMatchObject({ members: 3, membersOnline: 2, instances: 9, running: 7 });
  });

  it("names the fullest pool and sums all of them", () => {
    const { figures } = toRow(cluster());
    expect(figures?.fullestPool).toMatchObject({ name: "local", member: "a02", percent: 70 });
    expect(figures?.storage).toMatchObject({ used: 590, total: 1200 });
    expect(figures?.pools).toBe(3);
  });

  it("has no figures before the first heartbeat", () => {
    const row = toRow(cluster({ last_heartbeat_at: null, state: "waiting", memory_total_amount: 0 }));
    expect(row.figures).toBeNull();
    expect(row.heartbeatAt).toBeNull();
  });

  it("does not divide by nothing", () => {
    const { figures } = toRow(
      cluster({
        memory_total_amount: 0,
        storage_pool_usages: [{ name: "p", member: "", total: 0, usage: 0 }],
        cpu_load_1: "",
        cpu_load_5: "",
        cpu_load_15: "",
      }),
    );
    expect(figures).toMatchObject({ memory: null, storage: null, fullestPool: null, load: [null, null, null] });
    expect(loadText(figures)).toBeNull();
  });

  it.each(["javascript:alert(1)", "data:text/html,x", "//evil.example", "lxd"])("makes no link of %s", (ui_url) => {
    expect(toRow(cluster({ ui_url })).uiUrl).toBe("");
  });

  it("writes the three loads, with a dash for one that is missing", () => {
    expect(loadText(toRow(cluster({ cpu_load_15: "" })).figures)).toBe("3.93  3.54  –");
  });
});
