import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { open, serve } from "@/testing/app";
import { fleetCluster } from "@/testing/clusters";

const LIST = "GET /1.0/fleet/clusters?rows=values";
const TOKENS = "GET /1.0/remote-cluster-join-token";
const CREATE = "POST /1.0/remote-cluster-join-token";
const PANEL = "/ui/clusters?panel=enroll-cluster";
const SECRET = "eyJzZWNyZXQiOiJ4In0=";

const pending = {
  cluster_name: "oslo",
  description: "",
  expiry: new Date(Date.now() + 86_400_000).toISOString(),
  created_at: new Date().toISOString(),
  expired: false,
};

describe("enrolling a cluster", () => {
  it("opens in the address, takes the focus, and gives it back", async () => {
    serve({ [LIST]: { metadata: [fleetCluster()] } });
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Enroll cluster" }));
    const name = await screen.findByPlaceholderText("Enter name");
    expect(window.location.search).toBe("?panel=enroll-cluster");
    expect(name).toHaveFocus();
    await user.keyboard("{Escape}");
    expect(screen.queryByPlaceholderText("Enter name")).not.toBeInTheDocument();
    expect(window.location.search).toBe("");
    await waitFor(() => expect(screen.getByRole("button", { name: "Enroll cluster" })).toHaveFocus());
  });

  it("asks before it throws away what was typed", async () => {
    serve({ [LIST]: { metadata: [fleetCluster()] } });
    const { user } = open(PANEL);
    await user.type(await screen.findByPlaceholderText("Enter name"), "oslo");
    await user.keyboard("{Escape}");
    await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Cancel" }));
    expect(screen.getByPlaceholderText("Enter name")).toHaveValue("oslo");
    await user.click(screen.getByRole("button", { name: "Cancel" }));
    await user.click(screen.getByRole("button", { name: "Discard" }));
    await waitFor(() => expect(screen.queryByPlaceholderText("Enter name")).not.toBeInTheDocument());
  });

  it("checks the name while it is typed", async () => {
    serve({ [LIST]: { metadata: [fleetCluster({ name: "lyon" })] } });
    const { user } = open(PANEL);
    const name = await screen.findByPlaceholderText("Enter name");
    await user.type(name, "a b");
    expect(await screen.findByText(/A space is not allowed/)).toBeInTheDocument();
    expect(name).toHaveAttribute("aria-invalid", "true");
    expect(name).toHaveAccessibleDescription(/A space is not allowed/);
    await user.clear(name);
    await user.type(name, "lyon");
    expect(await screen.findByText("A cluster with this name is already enrolled.")).toBeInTheDocument();
    await user.type(name, "-2");
    await waitFor(() => expect(name).toHaveAttribute("aria-invalid", "false"));
  });

  it("shows the server's conflict at the name and keeps what was typed", async () => {
    serve({
      [LIST]: { metadata: [fleetCluster()] },
      [CREATE]: { status: 409, error: "this cluster name has a pending join token" },
    });
    const { user } = open(PANEL);
    const name = await screen.findByPlaceholderText("Enter name");
    await user.type(name, "oslo{Enter}");
    expect(await screen.findByText("This cluster name has a pending join token.")).toBeInTheDocument();
    expect(name).toHaveValue("oslo");
    expect(name).toHaveFocus();
  });

  it.each([
    ["Cluster name", "cluster name is not allowed"],
    ["Description", "description must have at most 512 characters"],
  ])("shows what the server says of the field %s there", async (label, error) => {
    serve({ [LIST]: { metadata: [fleetCluster()] }, [CREATE]: { status: 400, error } });
    const { user } = open(PANEL);
    await user.type(await screen.findByPlaceholderText("Enter name"), "oslo{Enter}");
    const field = screen.getByLabelText(label);
    await waitFor(() => expect(field).toHaveAttribute("aria-invalid", "true"));
    expect(field).toHaveAccessibleDescription(new RegExp(error.slice(1)));
    expect(screen.getByPlaceholderText("Enter name")).toHaveValue("oslo");
  });

  it("refuses an expiry in the past", async () => {
    const server = serve({ [LIST]: { metadata: [fleetCluster()] } });
    const { user } = open(PANEL);
    await user.type(await screen.findByPlaceholderText("Enter name"), "oslo");
    await user.click(screen.getByRole("radio", { name: "Custom" }));
    const when = screen.getByLabelText("Date and time");
    await user.clear(when);
    await user.type(when, "2020-01-01T00:00");
    await user.click(screen.getByRole("button", { name: "Create join token" }));
    expect(await screen.findByText("The expiry must be in the future.")).toBeInTheDocument();
    expect(server.calls).not.toContain(CREATE);
  });

  it("sends what was chosen, shows the exact command once, and stores the token nowhere", async () => {
    const sent = vi.fn();
    const server = serve({
      [LIST]: { metadata: [fleetCluster()] },
      [CREATE]: (body) => {
        sent(body);
        server.set(TOKENS, { metadata: [pending] });
        return { metadata: { token: SECRET } };
      },
    });
    const { user, client } = open(PANEL);
    const before = Date.now();
    await user.type(await screen.findByPlaceholderText("Enter name"), "oslo");
    await user.type(screen.getByPlaceholderText("Enter description"), " Harbour ");
    await user.click(screen.getByRole("radio", { name: "7 days" }));
    await user.click(screen.getByRole("button", { name: "Create join token" }));

    const dialog = await screen.findByRole("dialog", { name: "Join token for cluster oslo created" });
    expect(within(dialog).getByText(`microcloud cluster-manager join ${SECRET}`)).toBeInTheDocument();
    expect(within(dialog).getByText("Waiting for oslo to join…")).toBeInTheDocument();
    const body = sent.mock.calls[0]?.[0] as { cluster_name: string; description: string; expiry: string };
    expect(body).toMatchObject({ cluster_name: "oslo", description: "Harbour" });
    const days = (Date.parse(body.expiry) - before) / 86_400_000;
    expect(days).toBeCloseTo(7, 2);

    expect(window.location.pathname + window.location.search).toBe("/ui/clusters/tokens");
    const kept = [
      window.location.href,
      JSON.stringify(window.history.state),
      JSON.stringify(localStorage),
      JSON.stringify(sessionStorage),
      JSON.stringify(
        client
          .getQueryCache()
          .getAll()
          .map((query) => query.state.data),
      ),
    ];
    expect(kept.join("\n")).not.toContain(SECRET);

    await user.click(within(dialog).getByRole("button", { name: "Copy command" }));
    await expect(navigator.clipboard.readText()).resolves.toBe(`microcloud cluster-manager join ${SECRET}`);
    await user.click(within(dialog).getByRole("button", { name: "Copy token" }));
    await expect(navigator.clipboard.readText()).resolves.toBe(SECRET);

    await user.click(within(dialog).getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
    expect(document.body).not.toHaveTextContent(SECRET);
  });

  it("[enrol-waits] tells when the cluster has joined", async () => {
    const server = serve({
      [LIST]: { metadata: [fleetCluster()] },
      [CREATE]: () => {
        server.set(TOKENS, { metadata: [pending] });
        return { metadata: { token: SECRET } };
      },
    });
    const { user, client } = open(PANEL);
    await user.type(await screen.findByPlaceholderText("Enter name"), "oslo{Enter}");
    await screen.findByText("Waiting for oslo to join…");
    server.set(TOKENS, { metadata: [] });
    server.set(LIST, { metadata: [fleetCluster(), fleetCluster({ name: "oslo" })] });
    await client.refetchQueries({ queryKey: ["tokens"] });
    const dialog = within(screen.getByRole("dialog"));
    expect(await dialog.findByText("has joined.", { exact: false })).toBeInTheDocument();
    expect(dialog.getByRole("link", { name: "oslo" })).toHaveAttribute("href", "/ui/cluster/oslo");
  });
});
