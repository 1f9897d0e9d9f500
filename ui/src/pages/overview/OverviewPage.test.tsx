import { act, screen, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { FleetSummary } from "@/api/types";
import { ADMIN, open, serve } from "@/testing/app";
import { fleetCluster } from "@/testing/clusters";

const rows = [
  fleetCluster({ name: "fine" }),
  fleetCluster({ name: "gone", state: "offline", warnings: ["heartbeat"] }),
  fleetCluster({ name: "full", warnings: ["pool", "memory"], load: "9.75" }),
];

const summary: FleetSummary = {
  clusters: { total: 3, online: 2, stale: 0, offline: 1, waiting: 0, never: 0, with_warnings: 2 },
  warnings: { pool: 1, memory: 1, heartbeat: 1, ceph: 0 },
  members: { total: 9, not_online: 4, offline: 2, evacuated: 1, blocked: 0 },
  instances: { total: 27, running: 21, stopped: 3, frozen: 1, error: 1, other: 1 },
  cpu: { load: 17.61, load_of_cores: 12, cores: 48 },
  memory: { used: 3 * 1024 ** 3, total: 4 * 1024 ** 3 },
  storage: { used: 1, total: 2 },
  top: {
    memory: [{ name: "full", percent: 91 }],
    storage: [{ name: "full", pool: "local", percent: 97 }],
    warnings: [{ name: "full", count: 2 }],
    silent: [{ name: "gone", since: "2026-11-01T00:00:00Z" }],
  },
  at: "2026-11-22T05:03:00Z",
};

function serveOverview() {
  const server = serve({
    "GET /1.0/fleet/clusters?rows=values": { metadata: rows },
    "GET /1.0/fleet/summary": { metadata: summary },
    "GET /1.0/audit?limit=8": {
      metadata: {
        records: [
          {
            id: 1,
            at: "2026-11-22T04:00:00Z",
            actor_kind: "operator",
            actor: "https://id.example|ada",
            actor_name: "Ada Min",
            source: "10.0.0.1",
            event: "cluster.changed",
            object: "full",
            outcome: "success",
            request_id: "r",
            details: null,
          },
        ],
        next: null,
      },
    },
  });
  server.match((key) => {
    if (!key.startsWith("GET /1.0/fleet/history?")) return undefined;
    const point = { clusters: 3, online: 2, with_warnings: 2, members: 9, memory_used: 2 ** 30, memory_total: 2 ** 32 };
    const points = [1, 2].map((minute) => ({ ...point, at: `2026-11-22T04:0${minute}:00Z`, instances: 20 + minute }));
    const [from, to] = ["2026-11-22T04:00:00Z", "2026-11-22T05:00:00Z"];
    return { metadata: { from, to, step_seconds: 60, points } };
  });
  return server;
}

describe("the overview", () => {
  it("[overview-counts-link] counts everything and leads to what it counts", async () => {
    serveOverview();
    open("/ui/overview");
    const counts = within(await screen.findByRole("region", { name: "Counts" }));
    const hrefOf = (name: RegExp | string) =>
      decodeURIComponent(counts.getByRole("link", { name }).getAttribute("href") ?? "");
    expect(hrefOf("Clusters: 3")).toBe("/ui/clusters");
    expect(hrefOf("1 offline")).toBe("/ui/clusters?query=status:offline");
    expect(hrefOf("1 evacuated")).toBe("/ui/clusters?query=member:evacuated");
    expect(hrefOf("0 blocked")).toBe("/ui/clusters?query=member:blocked");
    expect(hrefOf("1 others")).toBe("/ui/clusters?query=warning:members");
    expect(hrefOf("1 frozen")).toBe("/ui/clusters?query=instance:frozen");
    expect(hrefOf("1 in error state")).toBe("/ui/clusters?query=instance:error");
    expect(hrefOf(/Pool over threshold/)).toBe("/ui/clusters?query=warning:pool");
    expect(hrefOf("0 expired")).toBe("/ui/clusters/tokens?sort=expiry");
    expect(counts.queryByText(/Ceph/)).not.toBeInTheDocument();
  });

  it("[heatmap-keyboard] goes through the clusters with the arrow keys, the worst first", async () => {
    serveOverview();
    const { user } = open("/ui/overview");
    const map = await screen.findByRole("list", { name: "Health of the clusters, the worst first" });
    const cells = within(map).getAllByRole("link");
    expect(cells.map((cell) => cell.textContent)).toEqual(["×", "!", "✓"]);
    expect(cells.map((cell) => cell.tabIndex)).toEqual([0, -1, -1]);
    act(() => cells[0]?.focus());
    expect(screen.getByRole("tooltip")).toHaveTextContent("goneOffline, 1 warning");
    await user.keyboard("{ArrowRight}");
    expect(cells[1]).toHaveFocus();
    expect(cells[1]).toHaveAccessibleName("full: Has warnings, 2 warnings");
    expect(cells.map((cell) => cell.tabIndex)).toEqual([-1, 0, -1]);
    await user.keyboard("{End}{ArrowLeft}{Enter}");
    expect(window.location.pathname).toBe("/ui/cluster/full");
  });

  it("adds up the load, as a share only of the cores that are known", async () => {
    const server = serveOverview();
    const { unmount } = open("/ui/overview");
    const capacity = async () =>
      (await screen.findByRole("heading", { name: "Capacity" })).parentElement?.textContent ?? "";
    expect(await capacity()).toContain("17.6 in total over one minute; 25 % of the 48 cores that clusters report");
    unmount();
    server.set("GET /1.0/fleet/summary", { metadata: { ...summary, cpu: { load: 12, load_of_cores: 12, cores: 48 } } });
    open("/ui/overview");
    expect(await capacity()).toContain("25 % 12.0 of 48 cores");
  });

  it("[top5] names what needs an eye first", async () => {
    serveOverview();
    open("/ui/overview");
    const top = async (title: string) => {
      const heading = await screen.findByRole("heading", { name: title });
      return heading.parentElement?.textContent;
    };
    expect(await top("Fullest memory")).toContain("full91 %");
    expect(await top("Fullest pool")).toContain("fulllocal97 %");
    expect(await top("Highest load")).toMatch(/full9\.75.*fine3\.93/);
    expect(await top("Oldest heartbeat")).toMatch(/gone\d+ (days|h) ago/);
  });

  it("[overview-history] charts instances, memory and warnings", async () => {
    serveOverview();
    open("/ui/overview");
    const figure = await screen.findByRole("figure", { name: "Instances" });
    expect(within(figure).getByText("22")).toBeInTheDocument();
    expect(screen.getByRole("figure", { name: "Memory" })).toHaveTextContent("used 1.0 GiB");
    expect(screen.getByRole("figure", { name: "Clusters" })).toHaveTextContent("with warnings 2");
  });

  it("[events] says what happened and by whom, to those who may know", async () => {
    serveOverview();
    const { unmount } = open("/ui/overview");
    expect(await screen.findByText("cluster.changed")).toBeInTheDocument();
    expect(screen.getByText(/by Ada Min/)).toBeInTheDocument();
    unmount();
    const server = serveOverview();
    server.set("GET /1.0", { metadata: { ...ADMIN, role: "viewer" } });
    open("/ui/overview");
    await screen.findByRole("heading", { name: "Fullest memory" });
    expect(screen.queryByRole("heading", { name: "Recent events" })).not.toBeInTheDocument();
    expect(server.calls.some((call) => call.includes("audit"))).toBe(false);
  });

  it("[autorefresh-pause] asks again every 30 seconds, and not while it is paused", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const server = serveOverview();
    const { user } = open("/ui/overview");
    await screen.findByRole("heading", { name: "Fullest memory" });
    const asked = () => server.calls.filter((call) => call === "GET /1.0/fleet/summary").length;
    const first = asked();
    await act(() => vi.advanceTimersByTimeAsync(31_000));
    expect(asked()).toBe(first + 1);
    await user.click(screen.getByRole("button", { name: "Pause automatic updates" }));
    expect(screen.getByText(/^Paused, updated/)).toBeInTheDocument();
    await act(() => vi.advanceTimersByTimeAsync(120_000));
    expect(asked()).toBe(first + 1);
    await user.click(screen.getByRole("button", { name: "Pause automatic updates" }));
    vi.useRealTimers();
  });

  it("hides the frame on a wall", async () => {
    serveOverview();
    const { user } = open("/ui/overview?kiosk=1");
    await screen.findByRole("heading", { name: "Fullest memory" });
    expect(screen.queryByRole("navigation", { name: "Main" })).not.toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Leave the wall display" }));
    expect(screen.getByRole("navigation", { name: "Main" })).toBeInTheDocument();
  });
});
