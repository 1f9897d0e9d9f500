import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { open, serve } from "@/testing/app";

const LIST = "GET /1.0/fleet/clusters?rows=values";
const unauthorised = { status: 401, error: "Unauthorized" };
const refused = { status: 403, error: "Permission denied" };

describe("who may see what", () => {
  it("leads to the login and remembers the page first asked for", async () => {
    serve({ "GET /1.0": unauthorised, "GET /1.0/configuration": unauthorised, [LIST]: unauthorised });
    open("/ui/clusters/tokens?sort=name");
    const login = await screen.findByRole("link", { name: "Login" });
    expect(login).toHaveAttribute("href", "/oidc/login?next=%2Fui%2Fclusters%2Ftokens%3Fsort%3Dname");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("[no-rights-page] tells people without rights who they are, and offers no enrolment", async () => {
    serve({
      "GET /1.0": { metadata: { email: "viewer@example.com", name: "Vera", groups: [], trusted: true, role: null } },
      "GET /1.0/configuration": refused,
      [LIST]: refused,
    });
    open("/ui/clusters");
    await screen.findByRole("heading", { level: 1, name: "Your account has no access" });
    const page = within(screen.getByRole("main"));
    expect(page.getByText("Vera")).toBeInTheDocument();
    expect(page.getByText("admins")).toBeInTheDocument();
    expect(page.getByRole("button", { name: "Log out" })).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Enroll cluster" })).not.toBeInTheDocument();
    expect(screen.queryByRole("link", { name: "Settings" })).not.toBeInTheDocument();
  });

  it("goes on to the page asked for when somebody is logged in already", async () => {
    serve({});
    open("/ui/login?next=%2Fui%2Fsettings");
    expect(await screen.findByRole("heading", { level: 1, name: "Settings" })).toBeInTheDocument();
    expect(window.location.pathname).toBe("/ui/settings");
  });
});

describe("the frame", () => {
  it("shows the person, the version, the current section and the page's title", async () => {
    serve({});
    open("/ui/settings");
    expect(await screen.findByText("Ada Min")).toBeInTheDocument();
    expect(await screen.findByText("Version 1.2.3")).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Settings" })).toHaveAttribute("aria-current", "page");
    expect(screen.getByRole("link", { name: "Clusters" })).not.toHaveAttribute("aria-current");
    await waitFor(() => expect(document.title).toBe("Settings | MicroCloud Cluster Manager"));
  });

  it("leads to where bugs are reported, if the build knows where that is", async () => {
    serve({});
    vi.stubEnv("BUGS_URL", "https://bugs.example.net/new");
    const { unmount } = open("/ui/settings");
    const bugs = await screen.findByRole("link", { name: "Report a bug" });
    expect(bugs).toHaveAttribute("href", "https://bugs.example.net/new");
    expect(bugs).toHaveAttribute("target", "_blank");
    expect(bugs).toHaveAttribute("rel", "noopener noreferrer");
    unmount();
    vi.stubEnv("BUGS_URL", "");
    open("/ui/settings");
    expect(await screen.findByText("Ada Min")).toBeInTheDocument();
    expect(screen.queryByRole("link", { name: "Report a bug" })).not.toBeInTheDocument();
  });

  it("remembers that the navigation was collapsed", async () => {
    serve({});
    const { user, unmount } = open("/ui/settings");
    await user.click(await screen.findByRole("button", { name: "collapse main navigation" }));
    expect(screen.getByRole("button", { name: "expand main navigation" })).toBeInTheDocument();
    unmount();
    open("/ui/settings");
    expect(await screen.findByRole("button", { name: "expand main navigation" })).toBeInTheDocument();
  });

  it("has a page for addresses that lead nowhere", async () => {
    serve({});
    open("/ui/no/such/page");
    expect(await screen.findByRole("heading", { level: 1, name: "Page not found" })).toBeInTheDocument();
  });
});
