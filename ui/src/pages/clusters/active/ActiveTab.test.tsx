import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { ADMIN, open, serve } from "@/testing/app";
import { cluster, fleetCluster } from "@/testing/clusters";

const LIST = "GET /1.0/fleet/clusters?rows=values";
const DETAILS = "GET /1.0/remote-cluster?fields=name,member_statuses,instance_statuses";

const edge2 = cluster({
  name: "edge-2",
  warnings: [
    { kind: "memory", percent: 90, threshold: 80 },
    { kind: "members", count: 1 },
  ],
});

const fleet = [
  fleetCluster({ name: "edge-10", memory: [100, 1000], description: "Málaga" }),
  fleetCluster({ name: "edge-2", memory: [900, 1000], warnings: ["memory", "members"] }),
  fleetCluster({ name: "alpha/1", state: "never", seen: null }),
];
const details = {
  "GET /1.0/remote-cluster/edge-2": { metadata: edge2 },
  "GET /1.0/remote-cluster/alpha%2F1": { metadata: cluster({ name: "alpha/1", ui_url: "" }) },
};

/** The names as listed, top to bottom. */
const names = () =>
  within(screen.getByRole("table", { name: "Clusters" }))
    .getAllByRole("rowheader")
    .map((cell) => within(cell).getByRole("link").textContent);

describe("the list of clusters", () => {
  it("is ordered by name as people count, with every figure", async () => {
    serve({ [LIST]: { metadata: fleet } });
    open("/ui/clusters");
    const row = await screen.findByRole("row", { name: /edge-2/ });
    expect(names()).toEqual(["alpha/1", "edge-2", "edge-10"]);
    expect(row).toHaveTextContent("Online");
    expect(row).toHaveTextContent(/seen .* ago/);
    expect(row).toHaveTextContent("2 of 3");
    expect(row).toHaveTextContent("7 of 9");
    expect(row).toHaveTextContent("3.93");
    expect(row).toHaveTextContent("90 % of 1.0 KiB");
    expect(row).toHaveTextContent("70 % local");
    expect(screen.getByRole("table", { name: "Clusters" })).toHaveAttribute("aria-rowcount", "4");
  });

  it("encodes names in addresses", async () => {
    serve({ [LIST]: { metadata: fleet } });
    open("/ui/clusters");
    expect(await screen.findByRole("link", { name: "alpha/1" })).toHaveAttribute("href", "/ui/cluster/alpha%2F1");
  });

  it("keeps search and sort in the address, and starts from there", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters?sort=-memory");
    await screen.findByRole("link", { name: "edge-2" });
    expect(names()).toEqual(["edge-2", "edge-10", "alpha/1"]);
    const memory = screen.getByRole("columnheader", { name: "Memory" });
    expect(memory).toHaveAttribute("aria-sort", "descending");
    await user.click(within(memory).getByRole("button"));
    expect(memory).toHaveAttribute("aria-sort", "ascending");
    expect(window.location.search).toBe("?sort=memory");
    await user.type(screen.getByRole("searchbox", { name: "Search and filter" }), "malaga");
    expect(await screen.findByText("1 cluster matches (of 3)")).toBeInTheDocument();
    expect(names()).toEqual(["edge-10"]);
    expect(window.location.search).toBe("?sort=memory&query=malaga");
  });

  it("says when nothing matches, and takes the search back", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters?query=nowhere");
    await screen.findByRole("heading", { name: "No clusters match" });
    await user.click(screen.getByRole("button", { name: "Clear search" }));
    expect(await screen.findByText("Showing all 3 active clusters")).toBeInTheDocument();
    expect(screen.getByRole("searchbox")).toHaveValue("");
  });

  it("tells the warnings to the keyboard", async () => {
    serve({ [LIST]: { metadata: fleet }, ...details });
    const { user } = open("/ui/clusters");
    const button = await screen.findByRole("button", { name: "2 warnings of edge-2" });
    button.focus();
    const tip = await screen.findByRole("tooltip");
    expect(tip).toHaveTextContent("Memory over threshold");
    await waitFor(() => expect(tip).toHaveTextContent("1 member is not online"));
    expect(button).toHaveAccessibleDescription(/Memory usage is 90.%, over/);
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("tooltip")).not.toBeInTheDocument();
  });

  it("offers the LXD UI only where a cluster has one", async () => {
    serve({ [LIST]: { metadata: fleet }, ...details });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Actions for edge-2" }));
    const link = await screen.findByRole("menuitem", { name: "LXD UI" });
    expect(link).toHaveAttribute("href", "https://10.40.7.11:8443");
    expect(link).toHaveAttribute("rel", "noopener noreferrer");
    expect(screen.getByRole("menuitem", { name: "Configure" })).toHaveFocus();
    await user.keyboard("{ArrowDown}");
    expect(screen.getByRole("menuitem", { name: "Remove" })).toHaveFocus();
    await user.keyboard("{Escape}");
    expect(screen.getByRole("button", { name: "Actions for edge-2" })).toHaveFocus();
    await user.click(screen.getByRole("button", { name: "Actions for alpha/1" }));
    await screen.findByRole("menuitem", { name: "Remove" });
    expect(screen.queryByRole("menuitem", { name: "LXD UI" })).not.toBeInTheDocument();
  });

  it("leaves out what a viewer may not do", async () => {
    serve({ [LIST]: { metadata: fleet }, ...details, "GET /1.0": { metadata: { ...ADMIN, role: "viewer" } } });
    open("/ui/clusters");
    await screen.findByRole("link", { name: "edge-2" });
    expect(screen.queryByRole("checkbox")).not.toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Enroll cluster" })).not.toBeInTheDocument();
  });

  it("removes a cluster after asking", async () => {
    const server = serve({ [LIST]: { metadata: fleet }, "DELETE /1.0/remote-cluster/alpha%2F1": { metadata: {} } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Actions for alpha/1" }));
    await user.click(screen.getByRole("menuitem", { name: "Remove" }));
    const dialog = screen.getByRole("dialog", { name: "Confirm remove" });
    server.set(LIST, { metadata: fleet.slice(0, 2) });
    await user.click(within(dialog).getByRole("button", { name: "Confirm remove" }));
    expect(await screen.findByText("Removed cluster alpha/1.")).toBeInTheDocument();
    expect(names()).toEqual(["edge-2", "edge-10"]);
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("keeps the dialog open with the reason when a removal fails", async () => {
    serve({
      [LIST]: { metadata: fleet },
      "DELETE /1.0/remote-cluster/edge-2": { status: 500, error: "internal error" },
    });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Actions for edge-2" }));
    await user.click(screen.getByRole("menuitem", { name: "Remove" }));
    await user.click(screen.getByRole("button", { name: "Confirm remove" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "Internal error. It may have been done all the same: look before you do it again. Try again; if it stays so, tell your administrator. (Request id request-7.)",
    );
    expect(screen.getByRole("dialog")).toBeInTheDocument();
  });

  it("is empty in its own words when there is no cluster", async () => {
    serve({ [LIST]: { metadata: null } });
    open("/ui/clusters");
    expect(await screen.findByRole("heading", { name: "No active clusters found" })).toBeInTheDocument();
    expect(screen.getAllByRole("button", { name: "Enroll cluster" })).toHaveLength(1);
    expect(screen.queryByRole("searchbox")).not.toBeInTheDocument();
  });

  it("[error-keeps-data] keeps the old list when a refresh fails, and recovers", async () => {
    const server = serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    await screen.findByRole("link", { name: "edge-2" });
    server.set(LIST, { status: 503, error: "the database is not available, try again later" });
    await user.click(screen.getByRole("button", { name: "Refresh now" }));
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("The clusters could not be refreshed");
    expect(alert).toHaveTextContent("The database is not available, try again later. (Request id request-7.)");
    expect(names()).toHaveLength(3);
    expect(server.calls.filter((call) => call === LIST)).toHaveLength(5);
    server.set(LIST, { metadata: fleet });
    await user.click(within(alert).getByRole("button", { name: "Try again" }));
    await waitFor(() => expect(screen.queryByRole("alert")).not.toBeInTheDocument());
  });

  it("[stale-greyed] greys the figures of clusters that fell silent and says from when they are", async () => {
    serve({ [LIST]: { metadata: [fleetCluster({ name: "mute", state: "offline" }), fleetCluster({ name: "well" })] } });
    open("/ui/clusters");
    const mute = await screen.findByRole("row", { name: /mute/ });
    expect(mute).toHaveClass("is-old");
    expect(mute).toHaveTextContent(/as of /);
    expect(mute).toHaveTextContent("Offline");
    const well = screen.getByRole("row", { name: /well/ });
    expect(well).not.toHaveClass("is-old");
    expect(well).not.toHaveTextContent(/as of /);
  });

  it("shows markup in names and descriptions as text", async () => {
    serve({ [LIST]: { metadata: [fleetCluster({ name: "<b>x</b>", description: "<img src=x onerror=alert(1)>" })] } });
    const { container } = open("/ui/clusters");
    expect(await screen.findByRole("link", { name: "<b>x</b>" })).toBeInTheDocument();
    expect(container.querySelector("img, b > *")).toBeNull();
  });

  it("[selection-filter] keeps the selection while filtering and says what is not shown", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("checkbox", { name: "Select edge-2" }));
    await user.click(screen.getByRole("checkbox", { name: "Select alpha/1" }));
    expect(screen.getByText("2 selected")).toBeInTheDocument();
    await user.type(screen.getByRole("searchbox"), "alpha");
    expect(await screen.findByText("2 selected, 1 not shown")).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Clear selection" }));
    expect(screen.queryByText(/selected/)).not.toBeInTheDocument();
  });

  it("selects a range with Shift and everything with the box in the head", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("checkbox", { name: "Select alpha/1" }));
    await user.keyboard("{Shift>}");
    await user.click(screen.getByRole("checkbox", { name: "Select edge-10" }));
    await user.keyboard("{/Shift}");
    expect(screen.getByText("All 3 clusters selected.")).toBeInTheDocument();
    await user.click(screen.getByRole("checkbox", { name: "Select all" }));
    expect(screen.queryByText(/selected/)).not.toBeInTheDocument();
    await user.click(screen.getByRole("checkbox", { name: "Select all" }));
    expect(screen.getByText("All 3 clusters selected.")).toBeInTheDocument();
  });

  it("[url-roundtrip] shows what the address says and writes what was chosen", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user, unmount } = open("/ui/clusters?query=edge&sort=-disk&columns=name,disk,tunnel");
    await screen.findByRole("link", { name: "edge-2" });
    const heads = () => screen.getAllByRole("columnheader").map((head) => head.textContent);
    expect(heads()).toEqual(["Select all", "Cluster Name", "Status", "Disk", "Tunnel", "Actions"]);
    await user.click(screen.getByRole("button", { name: "Columns" }));
    await user.click(screen.getByRole("checkbox", { name: "Joined" }));
    expect(heads()).toContain("Joined");
    const address = window.location.pathname + window.location.search;
    expect(new URLSearchParams(window.location.search).get("columns")).toBe("name,disk,tunnel,joined");
    unmount();
    open(address);
    await screen.findByRole("link", { name: "edge-2" });
    expect(heads()).toEqual(["Select all", "Cluster Name", "Status", "Disk", "Tunnel", "Joined", "Actions"]);
    expect(screen.getByRole("searchbox")).toHaveValue("edge");
    expect(screen.getByRole("columnheader", { name: "Disk" })).toHaveAttribute("aria-sort", "descending");
  });

  it("[columns] keeps the chosen columns in this browser", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user, unmount } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Columns" }));
    await user.click(screen.getByRole("checkbox", { name: "CPU load" }));
    unmount();
    open("/ui/clusters");
    await screen.findByRole("link", { name: "edge-2" });
    expect(screen.queryByRole("columnheader", { name: "CPU load" })).not.toBeInTheDocument();
    expect(screen.getByRole("columnheader", { name: "Memory" })).toBeInTheDocument();
  });

  it("reads the filters of old links, and asks for details only where they are needed", async () => {
    const server = serve({
      [LIST]: { metadata: fleet },
      [DETAILS]: {
        metadata: [cluster({ name: "edge-10", member_statuses: [{ status: "Upgrading", count: 1 }] }), edge2],
      },
    });
    const { user } = open("/ui/clusters?node-status=Evacuated");
    expect(await screen.findByText("2 clusters match (of 3)")).toBeInTheDocument();
    expect(window.location.search).toBe("?query=member%3Aevacuated");
    expect(server.calls).not.toContain(DETAILS);
    const box = screen.getByRole("searchbox");
    await user.clear(box);
    await user.type(box, "member:upgrading");
    expect(await screen.findByText("1 cluster matches (of 3)")).toBeInTheDocument();
    expect(names()).toEqual(["edge-10"]);
    expect(server.calls).toContain(DETAILS);
  });

  it("says what is wrong with a search under the box", async () => {
    const server = serve({ [LIST]: { metadata: fleet } });
    open("/ui/clusters?query=colour%3Ared+name%3Aedge");
    expect(await screen.findByRole("alert")).toHaveTextContent("There is no field “colour”.");
    expect(names()).toHaveLength(2);
    expect(server.calls).not.toContain(DETAILS);
  });

  it("writes a clicked filter into the search, and takes it out again", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Filters" }));
    const chip = screen.getByRole("button", { name: "Memory usage: >80%" });
    await user.click(chip);
    expect(screen.getByRole("searchbox")).toHaveValue("mem>=80");
    expect(names()).toEqual(["edge-2"]);
    expect(chip).toHaveAttribute("aria-pressed", "true");
    await user.click(chip);
    expect(names()).toHaveLength(3);
  });

  it("shows pages when asked to", async () => {
    const many = Array.from({ length: 120 }, (_, n) => fleetCluster({ name: `c-${n}` }));
    serve({ [LIST]: { metadata: many } });
    const { user } = open("/ui/clusters?per-page=50&page=3");
    await screen.findByRole("link", { name: "c-119" });
    expect(names()).toHaveLength(20);
    await user.click(screen.getByRole("button", { name: "Previous page" }));
    expect(names()).toHaveLength(50);
    expect(screen.getByRole("table", { name: "Clusters" })).toHaveAttribute("aria-rowcount", "121");
    expect(window.location.search).toBe("?per-page=50&page=2");
  });
});

describe("bulk work", () => {
  const ACTIONS = "POST /1.0/fleet/actions";
  const differing = [
    fleetCluster({ name: "edge-10", thresholds: [80, 70] }),
    fleetCluster({ name: "edge-2", thresholds: [80, 71] }),
    fleetCluster({ name: "alpha/1", thresholds: [80, 72] }),
  ];

  async function choose(user: ReturnType<typeof open>["user"]) {
    await user.click(await screen.findByRole("checkbox", { name: "Select edge-2" }));
    await user.click(screen.getByRole("checkbox", { name: "Select edge-10" }));
  }

  it("[bulk-noop] sends nothing while nothing was changed", async () => {
    serve({ [LIST]: { metadata: differing } });
    const { user } = open("/ui/clusters");
    await choose(user);
    await user.click(screen.getByRole("button", { name: "Configure clusters" }));
    expect(await screen.findByText("Multiple values")).toBeInTheDocument();
    const save = screen.getByRole("button", { name: "Save changes" });
    expect(save).toHaveAttribute("aria-disabled", "true");
    await user.click(screen.getByTitle("Set Disk threshold percentage"));
    expect(screen.getByLabelText("Disk threshold percentage")).toHaveValue(80);
    expect(save).toHaveAttribute("aria-disabled", "true");
    await user.click(screen.getByTitle("Undo change"));
    expect(screen.getByText("80 %")).toBeInTheDocument();
  });

  it("changes only what was opened, and says which clusters failed", async () => {
    const sent: unknown[] = [];
    serve({
      [LIST]: { metadata: differing },
      [ACTIONS]: (body) => {
        sent.push(body);
        const { names } = body as { names: string[] };
        const results = names.map((name) => ({
          name,
          status: sent.length === 1 && name === "edge-10" ? 404 : 200,
          error: sent.length === 1 && name === "edge-10" ? "cluster not found" : null,
        }));
        return { metadata: { results } };
      },
    });
    const { user } = open("/ui/clusters");
    await choose(user);
    await user.click(screen.getByRole("button", { name: "Configure clusters" }));
    await user.click(await screen.findByTitle("Set Memory threshold percentage"));
    const field = screen.getByLabelText("Memory threshold percentage");
    await user.clear(field);
    await user.type(field, "101");
    expect(screen.getByText("The threshold must be a whole number from 1 to 100.")).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Save changes" })).toHaveAttribute("aria-disabled", "true");
    await user.clear(field);
    await user.type(field, "90");
    await user.click(screen.getByRole("button", { name: "Save changes" }));
    expect(await screen.findByText("Updated 1 cluster.")).toBeInTheDocument();
    expect(sent).toEqual([{ action: "edit", changes: { memory_threshold: 90 }, names: ["edge-2", "edge-10"] }]);
    expect(screen.getByRole("alert")).toHaveTextContent("1 of 2 done, 1 failed.");
    expect(screen.getByText("Cluster not found.", { exact: false })).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Retry failed" }));
    await waitFor(() => expect(screen.queryByRole("alert")).not.toBeInTheDocument());
    expect(sent[1]).toEqual({ action: "edit", changes: { memory_threshold: 90 }, names: ["edge-10"] });
    expect(screen.queryByText(/selected/)).not.toBeInTheDocument();
  });

  it("asks for the count before it removes many", async () => {
    const many = Array.from({ length: 8 }, (_, n) => fleetCluster({ name: `c-${n}` }));
    const server = serve({
      [LIST]: { metadata: many },
      [ACTIONS]: (body) => {
        const { names } = body as { names: string[] };
        return { metadata: { results: names.map((name) => ({ name, status: 200, error: null })) } };
      },
    });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("checkbox", { name: "Select all" }));
    await user.click(screen.getByRole("button", { name: "Remove clusters" }));
    const dialog = within(screen.getByRole("dialog", { name: "Confirm remove" }));
    expect(dialog.getByRole("button", { name: "Remove" })).toHaveAttribute("aria-disabled", "true");
    server.set(LIST, { metadata: [] });
    await user.type(dialog.getByLabelText("Type 8 to confirm"), "8");
    await user.click(dialog.getByRole("button", { name: "Remove" }));
    expect(await screen.findByText("Removed 8 clusters.")).toBeInTheDocument();
    expect(await screen.findByRole("heading", { name: "No active clusters found" })).toBeInTheDocument();
  });
});
