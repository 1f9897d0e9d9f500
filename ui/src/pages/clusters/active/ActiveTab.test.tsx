import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { open, serve } from "@/testing/app";
import { cluster } from "@/testing/clusters";

const LIST = "GET /1.0/remote-cluster";

const fleet = [
  cluster({ name: "edge-10", memory_usage: 100, description: "Málaga" }),
  cluster({
    name: "edge-2",
    memory_usage: 900,
    warnings: [
      { kind: "memory", percent: 90, threshold: 80 },
      { kind: "members", count: 1 },
    ],
  }),
  cluster({ name: "alpha/1", state: "never", last_heartbeat_at: null, ui_url: "" }),
];

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
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    const button = await screen.findByRole("button", { name: "2 warnings of edge-2" });
    button.focus();
    const tip = await screen.findByRole("tooltip");
    expect(tip).toHaveTextContent("1 member is not online");
    expect(button).toHaveAccessibleDescription(/Memory usage is 90.%, over/);
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("tooltip")).not.toBeInTheDocument();
  });

  it("offers the LXD UI only where a cluster has one", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Actions for edge-2" }));
    const link = screen.getByRole("menuitem", { name: "LXD UI" });
    expect(link).toHaveAttribute("href", "https://10.40.7.11:8443");
    expect(link).toHaveAttribute("rel", "noopener noreferrer");
    expect(link).toHaveFocus();
    await user.keyboard("{ArrowDown}");
    expect(screen.getByRole("menuitem", { name: "Remove" })).toHaveFocus();
    await user.keyboard("{Escape}");
    expect(screen.getByRole("button", { name: "Actions for edge-2" })).toHaveFocus();
    await user.click(screen.getByRole("button", { name: "Actions for alpha/1" }));
    expect(screen.queryByRole("menuitem", { name: "LXD UI" })).not.toBeInTheDocument();
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
    expect(await screen.findByRole("alert")).toHaveTextContent("Internal error. (Request id request-7.)");
    expect(screen.getByRole("dialog")).toBeInTheDocument();
  });

  it("is empty in its own words when there is no cluster", async () => {
    serve({ [LIST]: { metadata: null } });
    open("/ui/clusters");
    expect(await screen.findByRole("heading", { name: "No active clusters found" })).toBeInTheDocument();
    expect(screen.getAllByRole("button", { name: "Enroll cluster" })).toHaveLength(1);
    expect(screen.queryByRole("searchbox")).not.toBeInTheDocument();
  });

  it("keeps the old list when a refresh fails, and recovers", async () => {
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

  it("shows markup in names and descriptions as text", async () => {
    serve({ [LIST]: { metadata: [cluster({ name: "<b>x</b>", description: "<img src=x onerror=alert(1)>" })] } });
    const { container } = open("/ui/clusters");
    expect(await screen.findByRole("link", { name: "<b>x</b>" })).toBeInTheDocument();
    expect(container.querySelector("img, b > *")).toBeNull();
  });
});
