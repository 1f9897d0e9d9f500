import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { changeInstance } from "@/api/tunnel";
import { open, serve } from "@/testing/app";
import { cluster } from "@/testing/clusters";

const LYON = "GET /1.0/remote-cluster/lyon-edge";
const TUNNEL = "/1.0/remote-cluster/lyon-edge/tunnel/1.0";
const LIST = `GET ${TUNNEL}/instances?recursion=1&all-projects=true`;
const PAGE = "/ui/cluster/lyon-edge/instances";

const instance = (name: string, status: string, project = "default") => ({
  name,
  project,
  type: "container",
  status,
  location: "m1",
  created_at: "2026-11-01T00:00:00Z",
  last_used_at: "0001-01-01T00:00:00Z",
});
const instances = [instance("web-1", "Running"), instance("db-1", "Stopped", "staging"), instance("odd", "Freezing")];

describe("instances through the tunnel", () => {
  it("[tunnel-list] lists, searches and never shows a status under another name", async () => {
    serve({ [LYON]: { metadata: cluster() }, [LIST]: { metadata: instances } });
    const { user } = open(PAGE);
    const row = await screen.findByRole("row", { name: /db-1/ });
    expect(row).toHaveTextContent("stagingContainerStoppedm1");
    expect(row).toHaveTextContent("Never");
    expect(screen.getByRole("row", { name: /odd/ })).toHaveTextContent("Freezing");
    await user.type(screen.getByRole("searchbox"), "staging");
    expect(await screen.findByText("1 instance matches (of 3)")).toBeInTheDocument();
    expect(screen.queryByRole("row", { name: /web-1/ })).not.toBeInTheDocument();
  });

  it("[tunnel-stop-start] asks before stopping, follows the operation and tells what failed", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const sent: unknown[] = [];
    let asked = 0;
    const server = serve({
      [LYON]: { metadata: cluster() },
      [LIST]: { metadata: [instance("web-1", "Running"), instance("web-2", "Running", "a b")] },
      [`PUT ${TUNNEL}/instances/web-1/state?project=default`]: (body) => {
        sent.push(body);
        return { metadata: { id: "op-1", status: "Running" } };
      },
      [`PUT ${TUNNEL}/instances/web-2/state?project=a%20b`]: { status: 400, error: "The instance is busy" },
      [`GET ${TUNNEL}/operations/op-1`]: () => {
        asked += 1;
        return { metadata: { id: "op-1", status: asked < 3 ? "Running" : "Success" } };
      },
    });
    const { user } = open(PAGE);
    await user.click(await screen.findByRole("checkbox", { name: "Select all" }));
    await user.click(screen.getByRole("button", { name: "Stop" }));
    const dialog = within(screen.getByRole("dialog", { name: "Stop 2 instances?" }));
    expect(sent).toEqual([]);
    await user.click(dialog.getByRole("checkbox", { name: /Force/ }));
    await user.click(dialog.getByRole("button", { name: "Stop" }));
    expect(await screen.findByText("Stopped 1 instance.", {}, { timeout: 30_000 })).toBeInTheDocument();
    expect(sent).toEqual([{ action: "stop", timeout: 30, force: true }]);
    expect(screen.getByRole("alert")).toHaveTextContent("1 of 2 done, 1 failed.");
    expect(screen.getByText(/The instance is busy\./)).toBeInTheDocument();
    await waitFor(() => expect(server.calls.filter((call) => call === LIST)).toHaveLength(2));
    vi.useRealTimers();
  });

  it("shows what makes sense of an answer in shapes that no LXD has", async () => {
    const hostile = [
      { name: "proto", project: "__proto__", type: "constructor", status: "toString", location: "hasOwnProperty" },
      { name: "<script>alert(1)</script>", project: {}, type: ["container"], status: null, created_at: 12 },
      { name: "twice", project: "default", status: "Running" },
      { name: "twice", project: "default", status: "Stopped" },
      { project: "no name" },
      null,
      "text",
    ];
    serve({ [LYON]: { metadata: cluster() }, [LIST]: { metadata: hostile } });
    open(PAGE);
    expect(await screen.findByText("3 instances")).toBeInTheDocument();
    expect(screen.getByText(/^4 entries of the cluster’s answer could not be read/)).toBeInTheDocument();
    expect(screen.getByRole("row", { name: /proto/ })).toHaveTextContent("__proto__constructortoStringhasOwnProperty");
    expect(screen.getByRole("row", { name: /<script>alert/ })).toHaveTextContent("default");
    expect(screen.getByRole("row", { name: /twice/ })).toHaveTextContent("Running");
  });

  it.each([{ length: 2 }, "all of them", 5])("says that %j is no list of instances", async (answer) => {
    serve({ [LYON]: { metadata: cluster() }, [LIST]: { metadata: answer } });
    open(PAGE);
    expect(await screen.findByRole("alert")).toHaveTextContent("The answer of the cluster's LXD makes no sense.");
  });

  it.each([null, {}, { id: { $ne: "" } }, [{ id: "op-1" }]])(
    "does not follow an operation that is none: %j",
    async (begun) => {
      const server = serve({ [`PUT ${TUNNEL}/instances/web-1/state?project=default`]: { metadata: begun } });
      const change = changeInstance("lyon-edge", { name: "web-1", project: "default" }, "start", false, () =>
        Promise.resolve(),
      );
      await expect(change).rejects.toMatchObject({ status: 502, more: { changes: true } });
      expect(server.calls).toHaveLength(1);
    },
  );

  it("[tunnel-timeout] does not wait for ever for an operation", async () => {
    serve({
      [`PUT ${TUNNEL}/instances/web-1/state?project=default`]: { metadata: { id: "op-1", status: "Running" } },
      [`GET ${TUNNEL}/operations/op-1`]: { metadata: { id: "op-1", status: "Running" } },
    });
    const wait = vi.fn(() => Promise.resolve());
    const outcome = await changeInstance("lyon-edge", { name: "web-1", project: "default" }, "restart", false, wait);
    expect(outcome).toBe("still running");
    expect(wait).toHaveBeenCalledTimes(30);
    expect(wait).toHaveBeenCalledWith(2000);
  });

  it("[tunnel-timeout] says that a cluster did not answer in time", async () => {
    const server = serve({
      [LYON]: { metadata: cluster() },
      [LIST]: { status: 504, error: "the cluster did not answer within 30 s" },
    });
    open(PAGE);
    expect(await screen.findByRole("alert")).toHaveTextContent("The cluster did not answer in time");
    expect(server.calls.filter((call) => call === LIST)).toHaveLength(1);
  });

  it("[tunnel-forbidden] tells LXD's refusal from the Cluster Manager's", async () => {
    serve({ [LYON]: { metadata: cluster() }, [LIST]: { status: 403, error: "not authorized" } });
    open(PAGE);
    expect(
      await screen.findByRole("heading", { name: "This MicroCloud does not accept your account" }),
    ).toBeInTheDocument();
    expect(screen.getByRole("heading", { level: 1, name: "lyon-edge" })).toBeInTheDocument();
  });

  it("[no-tunnel-hint] says how to turn the tunnel on", async () => {
    const server = serve({ [LYON]: { metadata: cluster({ tunnel_registered: false }) } });
    const { user } = open(PAGE);
    await user.click(await screen.findByRole("button", { name: "Copy command" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("microcloud cluster-manager set reverse_tunnel true");
    expect(server.calls.some((call) => call.includes("/tunnel/"))).toBe(false);
  });
});
