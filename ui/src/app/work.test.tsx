import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { ADMIN, never, open, serve } from "@/testing/app";
import { cluster, fleetCluster } from "@/testing/clusters";

const LIST = "GET /1.0/fleet/clusters?rows=values";
const LYON = "/1.0/remote-cluster/lyon-edge";
const unauthorised = { status: 401, error: "Unauthorized" };

describe("a session that ends during work", () => {
  it("[session-expired-keeps-form] keeps what was typed, and goes on after the next login", async () => {
    const server = serve({
      [LIST]: { metadata: [fleetCluster()] },
      [`GET ${LYON}`]: { metadata: cluster() },
      [`PATCH ${LYON}`]: unauthorised,
    });
    const { user, client } = open("/ui/clusters?panel=configure-cluster&cluster=lyon-edge&focusField=description");
    const description = await screen.findByLabelText("Description");
    await user.clear(description);
    server.set("GET /1.0", unauthorised);
    await user.type(description, "New text{Enter}");
    const dialog = within(await screen.findByRole("dialog", { name: "Your session has ended" }));
    const login = dialog.getByRole("link", { name: "Log in again" });
    expect(login).toHaveAttribute("href", "/oidc/login?next=%2Fui%2Flogin%3Fdone%3Dyes");
    expect(login).toHaveAttribute("target", "_blank");

    server.set("GET /1.0", { metadata: ADMIN });
    server.set(`PATCH ${LYON}`, { metadata: {} });
    await client.refetchQueries({ queryKey: ["me"] });
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(screen.getByLabelText("Description")).toHaveValue("New text");
    await user.click(screen.getByRole("button", { name: "Save changes" }));
    expect(await screen.findByText("Updated cluster lyon-edge.")).toBeInTheDocument();
  });

  it("tells the tab of the second login that it is done", async () => {
    serve({});
    open("/ui/login?done=yes");
    expect(await screen.findByRole("heading", { name: "You are logged in" })).toBeInTheDocument();
  });
});

describe("the keyboard", () => {
  const fleet = [fleetCluster({ name: "a-1" }), fleetCluster({ name: "b-2" })];

  it("[shortcuts] goes to pages and rows, selects and searches", async () => {
    serve({ [LIST]: { metadata: fleet }, "GET /1.0/remote-cluster/b-2": { metadata: cluster({ name: "b-2" }) } });
    Element.prototype.scrollIntoView = () => undefined;
    const { user } = open("/ui/settings");
    await screen.findByRole("heading", { level: 1, name: "Settings" });
    await user.keyboard("gc");
    await screen.findByRole("link", { name: "b-2" });
    await user.keyboard("/");
    expect(screen.getByRole("searchbox")).toHaveFocus();
    await user.keyboard("gt");
    expect(screen.getByRole("searchbox")).toHaveValue("gt");
    await user.clear(screen.getByRole("searchbox"));
    (document.activeElement as HTMLElement).blur();
    await user.keyboard("jjkj");
    expect(screen.getByRole("row", { name: /b-2/ })).toHaveFocus();
    await user.keyboard("x");
    expect(screen.getByText("1 selected")).toBeInTheDocument();
    screen.getByRole("row", { name: /b-2/ }).focus();
    await user.keyboard("{Enter}");
    expect(await screen.findByRole("heading", { level: 1, name: "b-2" })).toBeInTheDocument();
    await user.keyboard("?");
    expect(await screen.findByRole("dialog", { name: "Keyboard shortcuts" })).toBeInTheDocument();
    await user.keyboard("{Escape}");
    await user.keyboard("e");
    expect(await screen.findByRole("heading", { name: "Enroll cluster" })).toBeInTheDocument();
  });

  it("[shortcuts] does nothing once they are switched off", async () => {
    serve({ [LIST]: { metadata: fleet } });
    const { user } = open("/ui/settings");
    await user.click(await screen.findByRole("checkbox", { name: /Keyboard shortcuts/ }));
    await user.keyboard("gc?");
    expect(window.location.pathname).toBe("/ui/settings");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("[quick-open] opens a cluster by a part of its name", async () => {
    serve({ [LIST]: { metadata: fleet }, "GET /1.0/remote-cluster/b-2": { metadata: cluster({ name: "b-2" }) } });
    const { user } = open("/ui/settings");
    await screen.findByRole("heading", { level: 1, name: "Settings" });
    await user.keyboard("{Control>}k{/Control}");
    const box = await screen.findByRole("combobox");
    expect(box).toHaveFocus();
    await user.type(box, "2");
    expect(await screen.findByRole("option", { name: /b-2/ })).toHaveAttribute("aria-selected", "true");
    await user.keyboard("{Enter}");
    expect(await screen.findByRole("heading", { level: 1, name: "b-2" })).toBeInTheDocument();
  });

  it("[quick-open] opens before the server has said who is logged in", async () => {
    serve({ [LIST]: { metadata: fleet }, "GET /1.0": never });
    const { user } = open("/ui/clusters");
    await screen.findByRole("link", { name: "b-2" });
    await user.keyboard("{Control>}k{/Control}");
    expect(await screen.findByRole("option", { name: /b-2/ })).toBeInTheDocument();
  });
});

describe("the audit records", () => {
  const record = (id: number) => ({
    id,
    at: "2026-11-22T04:00:00Z",
    actor_kind: "operator",
    actor: "https://id.example|ada",
    actor_name: "Ada Min",
    source: "10.0.0.1",
    event: "cluster.changed",
    object: `c-${id}`,
    outcome: "success",
    request_id: "r",
    details: { disk_threshold: { old: 80, new: 90 }, expires_at: 1795475909 },
  });

  it("are shown page by page, with what was changed", async () => {
    serve({
      "GET /1.0/audit?limit=50": { metadata: { records: [record(2)], next: 2 } },
      "GET /1.0/audit?limit=50&before=2": {
        metadata: { records: [{ ...record(1), actor_kind: "system", actor: "", actor_name: "" }], next: null },
      },
      "GET /1.0/audit?limit=50&event=login": { metadata: { records: [], next: null } },
    });
    const { user } = open("/ui/audit");
    expect(await screen.findByText(/^disk_threshold: 80 → 90, expires_at: .*2026/)).toBeInTheDocument();
    expect(screen.getByRole("cell", { name: "Ada Min" })).toHaveAttribute("title", "https://id.example|ada");
    await user.click(screen.getByRole("button", { name: "Show more" }));
    expect(await screen.findByText("c-1")).toBeInTheDocument();
    expect(screen.getByRole("cell", { name: "Cluster Manager" })).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Show more" })).not.toBeInTheDocument();
    await user.click(screen.getByRole("searchbox", { name: "Event" }));
    await user.paste("login");
    expect(await screen.findByRole("heading", { name: "No records match" })).toBeInTheDocument();
    expect(window.location.search).toBe("?event=login");
  });
});

describe("one's own sessions", () => {
  it("are listed, and others than this one can be ended", async () => {
    const session = (id: string, current: boolean, user_agent: string) => ({
      id,
      current,
      user_agent,
      source: "10.0.0.1",
      created_at: "2026-11-22T04:00:00Z",
      last_used_at: "2026-11-22T04:30:00Z",
      expires_at: "2026-11-29T04:00:00Z",
    });
    const server = serve({
      "GET /1.0/sessions": { metadata: [session("a", true, "x"), session("b", false, "Mozilla Firefox/140")] },
      "DELETE /1.0/sessions/b": { metadata: {} },
    });
    const { user } = open("/ui/settings");
    expect(await screen.findByText("Firefox")).toBeInTheDocument();
    server.set("GET /1.0/sessions", { metadata: [session("a", true, "x")] });
    await user.click(screen.getByRole("button", { name: "End session" }));
    await waitFor(() => expect(screen.queryByText("Firefox")).not.toBeInTheDocument());
  });
});
