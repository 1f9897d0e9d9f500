import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { JoinToken } from "@/api/types";
import { open, serve } from "@/testing/app";
import { revokeAll } from "./revokeAll";

const LIST = "GET /1.0/remote-cluster-join-token";
const HOUR_MS = 3_600_000;

function token(name: string, hoursLeft: number, hoursOld: number): JoinToken {
  return {
    cluster_name: name,
    description: "",
    expiry: new Date(Date.now() + hoursLeft * HOUR_MS + 50_000).toISOString(),
    created_at: new Date(Date.now() - hoursOld * HOUR_MS).toISOString(),
    expired: hoursLeft < 0,
    rotation: false,
  };
}

const tokens = [token("expired", -30, 1), token("soon", 0.5, 20), token("valid", 144, 2)];

const names = () => screen.getAllByRole("rowheader").map((cell) => cell.textContent);

describe("the list of tokens", () => {
  it("tells the states apart and puts expired ones last, whatever the sort", async () => {
    serve({ [LIST]: { metadata: tokens } });
    const { user } = open("/ui/clusters/tokens");
    expect(await screen.findByRole("row", { name: /valid/ })).toHaveTextContent("Valid 6 days left");
    expect(screen.getByRole("row", { name: /soon/ })).toHaveTextContent("Expires soon 30 min left");
    expect(screen.getByRole("row", { name: /expired/ })).toHaveTextContent(/Expired (29|30) h ago/);
    expect(names()).toEqual(["valid", "soon", "expired"]);
    await user.click(screen.getByRole("button", { name: "Created at" }));
    expect(names()).toEqual(["soon", "valid", "expired"]);
    await user.click(screen.getByRole("button", { name: "Cluster name" }));
    expect(names()).toEqual(["soon", "valid", "expired"]);
    await user.click(screen.getByRole("button", { name: "Cluster name" }));
    expect(names()).toEqual(["valid", "soon", "expired"]);
  });

  it("revokes one token after asking", async () => {
    const server = serve({
      [LIST]: { metadata: tokens },
      "DELETE /1.0/remote-cluster-join-token/soon": { metadata: null },
    });
    const { user } = open("/ui/clusters/tokens");
    const row = await screen.findByRole("row", { name: /soon/ });
    expect(within(row).getAllByRole("button")).toHaveLength(1);
    await user.click(within(row).getByRole("button"));
    server.set(LIST, { metadata: [tokens[0], tokens[2]] });
    const dialog = screen.getByRole("dialog", { name: "Confirm revoke" });
    await user.click(within(dialog).getByRole("button", { name: "Revoke" }));
    expect(await screen.findByText("Revoked token soon.")).toBeInTheDocument();
    expect(names()).toEqual(["valid", "expired"]);
  });

  it("skips the question when Shift is held", async () => {
    const path = "DELETE /1.0/remote-cluster-join-token/soon";
    const server = serve({ [LIST]: { metadata: tokens }, [path]: { metadata: null } });
    const { user } = open("/ui/clusters/tokens");
    const row = await screen.findByRole("row", { name: /soon/ });
    await user.keyboard("{Shift>}");
    await user.click(within(row).getByRole("button"));
    await user.keyboard("{/Shift}");
    expect(await screen.findByText("Revoked token soon.")).toBeInTheDocument();
    expect(server.calls).toContain(path);
  });

  it("revokes what is selected and says which could not be revoked", async () => {
    const server = serve({
      [LIST]: { metadata: tokens },
      "DELETE /1.0/remote-cluster-join-token/soon": { metadata: null },
      "DELETE /1.0/remote-cluster-join-token/valid": { metadata: null },
      "DELETE /1.0/remote-cluster-join-token/expired": { status: 500, error: "internal error" },
    });
    const { user } = open("/ui/clusters/tokens");
    await user.click(await screen.findByRole("checkbox", { name: "Select all" }));
    expect(screen.getByText("3 tokens selected")).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Revoke tokens" }));
    server.set(LIST, { metadata: [tokens[0]] });
    await user.click(screen.getByRole("button", { name: "Revoke" }));
    expect(await screen.findByText("Revoked 2 tokens.")).toBeInTheDocument();
    expect(await screen.findByRole("alert")).toHaveTextContent(/Not revoked: expired\. Internal error\./);
  });

  it("offers to revoke everything that has expired", async () => {
    const server = serve({
      [LIST]: { metadata: tokens },
      "DELETE /1.0/remote-cluster-join-token/expired": { metadata: null },
    });
    const { user } = open("/ui/clusters/tokens");
    await user.click(await screen.findByRole("button", { name: "Revoke all expired" }));
    server.set(LIST, { metadata: tokens.slice(1) });
    await user.click(screen.getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(names()).toEqual(["valid", "soon"]));
  });

  it("is empty in its own words", async () => {
    serve({});
    open("/ui/clusters/tokens");
    expect(await screen.findByRole("heading", { name: "No tokens found" })).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Enroll cluster" })).toBeInTheDocument();
  });
});

describe("revokeAll", () => {
  it("has at most six requests under way and tells what failed", async () => {
    let underWay = 0;
    let most = 0;
    const revoke = vi.fn(async (name: string) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      if (name.endsWith("3")) throw new Error("no");
    });
    const all = Array.from({ length: 40 }, (_, n) => `t${n}`);
    const { failed } = await revokeAll(all, revoke);
    expect(revoke).toHaveBeenCalledTimes(40);
    expect(most).toBe(6);
    expect(failed.sort()).toEqual(["t13", "t23", "t3", "t33"]);
  });
});
