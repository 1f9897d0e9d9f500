import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { Role } from "@/api/types";
import { ADMIN, open, serve } from "@/testing/app";
import { cluster, fleetCluster } from "@/testing/clusters";

const ROLES: readonly Role[] = ["viewer", "operator", "admin"];
const hour = 3_600_000;

function serveAs(role: Role) {
  const token = {
    cluster_name: "oslo",
    description: "",
    expiry: new Date(Date.now() + 24 * hour).toISOString(),
    created_at: new Date(Date.now() - hour).toISOString(),
    expired: false,
    rotation: false,
  };
  const instance = { name: "web", project: "default", type: "container", status: "Running", location: "a01" };
  return serve({
    "GET /1.0": { metadata: { ...ADMIN, role } },
    "GET /1.0/fleet/clusters?rows=values": { metadata: [fleetCluster()] },
    "GET /1.0/remote-cluster/lyon-edge": { metadata: cluster({ warnings: [] }) },
    "GET /1.0/remote-cluster-join-token": { metadata: [token] },
    "GET /1.0/sessions": { metadata: [] },
    "GET /1.0/remote-cluster/lyon-edge/tunnel/1.0/instances?recursion=1&all-projects=true": {
      metadata: [{ ...instance, created_at: "", last_used_at: "" }],
    },
  });
}

/** A page, something that says that it is there, and controls with the roles that have them. */
const PAGES: readonly [string, string, readonly [string, readonly Role[]][]][] = [
  [
    "/ui/clusters",
    "Showing all 1 active cluster",
    [
      ["Enroll cluster", ["operator", "admin"]],
      ["Select all", ["operator", "admin"]],
      ["Export", ROLES],
    ],
  ],
  [
    "/ui/clusters/tokens",
    "1 token",
    [
      ["Enroll cluster", ["operator", "admin"]],
      ["Select all", ["operator", "admin"]],
      ["Revoke token of oslo", ["operator", "admin"]],
    ],
  ],
  [
    "/ui/cluster/lyon-edge",
    "Certificate fingerprint",
    [
      ["Configure", ["operator", "admin"]],
      ["Edit description", ["operator", "admin"]],
      ["Remove", ["admin"]],
      ["Copy certificate fingerprint", ROLES],
    ],
  ],
  ["/ui/settings", "Keyboard shortcuts of a single key (press ? for the list)", [["Check the login", ["admin"]]]],
];

describe("what a role does not allow is not offered", () => {
  for (const [address, ready, controls] of PAGES) {
    it.each(ROLES)(`on ${address} to a person with the role %s`, async (role) => {
      serveAs(role);
      open(address);
      await screen.findByText(ready);
      await screen.findByText("Ada Min");
      const main = within(screen.getByRole("main"));
      for (const [name, roles] of controls) {
        const found = [...main.queryAllByRole("button", { name }), ...main.queryAllByRole("checkbox", { name })];
        expect(found.length > 0, `${name} for ${role}`).toBe(roles.includes(role));
      }
      expect(screen.queryAllByRole("link", { name: "Audit" }).length > 0).toBe(role === "admin");
    });
  }

  it.each(ROLES)("in the menu of a cluster to a person with the role %s", async (role) => {
    serveAs(role);
    const { user } = open("/ui/clusters");
    await user.click(await screen.findByRole("button", { name: "Actions for lyon-edge" }));
    await screen.findByRole("menuitem", { name: "LXD UI" });
    const offered = screen.getAllByRole("menuitem").map((item) => item.textContent);
    expect(offered.includes("Configure")).toBe(role !== "viewer");
    expect(offered.includes("Remove")).toBe(role === "admin");
  });

  it.each(ROLES)("as a panel in the address to a person with the role %s", async (role) => {
    serveAs(role);
    const { unmount } = open("/ui/clusters?panel=configure-cluster&cluster=lyon-edge");
    await screen.findByText("Showing all 1 active cluster");
    if (role !== "viewer") await screen.findByLabelText("Description");
    expect(screen.queryAllByLabelText("Description").length > 0).toBe(role !== "viewer");
    unmount();
    open("/ui/clusters?panel=enroll-cluster");
    await screen.findByText("Showing all 1 active cluster");
    if (role !== "viewer") await screen.findByPlaceholderText("Enter name");
    expect(screen.queryAllByPlaceholderText("Enter name").length > 0).toBe(role !== "viewer");
  });

  it("asks for no instances on behalf of people who may not see them", async () => {
    const viewer = serveAs("viewer");
    const { unmount } = open("/ui/cluster/lyon-edge/instances");
    expect(await screen.findByRole("heading", { name: "Instances are for operators" })).toBeInTheDocument();
    expect(viewer.calls.filter((call) => call.includes("/tunnel/"))).toEqual([]);
    unmount();
    serveAs("operator");
    open("/ui/cluster/lyon-edge/instances");
    expect(await screen.findByRole("button", { name: "Actions for web" })).toBeInTheDocument();
  });
});

describe("the check of the login", () => {
  it("says in words what is wrong, and asks the server only when told to", async () => {
    const server = serveAs("admin");
    server.set("GET /1.0/login-check", {
      metadata: {
        ok: false,
        issuer: "https://id.example",
        redirect_uri: "https://manager.example/oidc/callback",
        steps: [
          { step: "discovery", result: "ok", text: "https://id.example describes itself." },
          { step: "issuer", result: "failed", text: "It calls itself \u202Eevil: both must be the same." },
        ],
      },
    });
    const { user } = open("/ui/settings");
    const button = await screen.findByRole("button", { name: "Check the login" });
    expect(server.calls).not.toContain("GET /1.0/login-check");
    await user.click(button);
    expect(await screen.findByText("One step is wrong.")).toBeInTheDocument();
    const steps = within(screen.getByRole("list", { name: "Steps of the login" })).getAllByRole("listitem");
    expect(steps.map((step) => step.textContent)).toEqual([
      "Identity provider Righthttps://id.example describes itself.",
      "Issuer WrongIt calls itself \\u202eevil: both must be the same.",
    ]);
    server.set("GET /1.0/login-check", { status: 503, error: "the database is not available, try again later" });
    await user.click(screen.getByRole("button", { name: "Check again" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("The database is not available, try again later.");
    expect(server.calls.filter((call) => call === "GET /1.0/login-check")).toHaveLength(2);
  });
});

describe("what changes something", () => {
  it.each([400, 409, 413, 429, 500, 502, 503, 504])("is sent once when the answer is %d", async (status) => {
    const server = serveAs("admin");
    server.set("PATCH /1.0/remote-cluster/lyon-edge", { status, error: "no" });
    const { user } = open("/ui/cluster/lyon-edge?panel=configure-cluster&cluster=lyon-edge");
    const description = await screen.findByLabelText("Description");
    await user.clear(description);
    await user.type(description, "New{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("No.");
    expect(description).toHaveValue("New");
    expect(server.calls.filter((call) => call.startsWith("PATCH"))).toHaveLength(1);
  });
});
