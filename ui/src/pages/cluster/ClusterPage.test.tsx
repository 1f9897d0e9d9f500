import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { open, serve } from "@/testing/app";
import { cluster } from "@/testing/clusters";

describe("the page of a cluster", () => {
  it("shows the facts, the statuses by their own names, the warnings and the pools", async () => {
    const oslo = cluster({ name: "oslo/core 1", warnings: [{ kind: "instances", count: 2 }] });
    serve({ "GET /1.0/remote-cluster/oslo%2Fcore%201": { metadata: oslo } });
    open("/ui/cluster/oslo%2Fcore%201");
    expect(await screen.findByRole("heading", { level: 1, name: "oslo/core 1" })).toBeInTheDocument();
    for (const text of ["Since last heartbeat", "Total memory", "Total storage", "3 members", "9 instances"]) {
      expect(await screen.findByText(text)).toBeInTheDocument();
    }
    expect(screen.getByText("Freezing")).toBeInTheDocument();
    expect(screen.getByText("1 warning")).toBeInTheDocument();
    expect(screen.getByText("2 instances are in error state")).toBeInTheDocument();
    expect(screen.getByText("Tunnel registered")).toBeInTheDocument();
    expect(screen.getByText("ab".repeat(32))).toBeInTheDocument();
    const pools = within(screen.getByRole("table", { name: "Storage pools" }));
    const first = pools.getAllByRole("row")[1];
    expect(first).toHaveTextContent("locala0270 %");
    expect(pools.getByText("cluster wide")).toBeInTheDocument();
  });

  it("says after one request that there is no such cluster", async () => {
    const server = serve({});
    open("/ui/cluster/nowhere");
    expect(await screen.findByRole("heading", { level: 1, name: "Cluster not found" })).toBeInTheDocument();
    expect(server.calls.filter((call) => call.endsWith("/nowhere"))).toHaveLength(1);
  });
});
