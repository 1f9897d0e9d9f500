import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { ADMIN, open, serve } from "@/testing/app";
import { cluster } from "@/testing/clusters";

const OSLO = "/1.0/remote-cluster/oslo%2Fcore%201";
const PAGE = "/ui/cluster/oslo%2Fcore%201";
const oslo = cluster({ name: "oslo/core 1", warnings: [{ kind: "instances", count: 2 }] });

const step = (minute: number) => new Date(Date.UTC(2026, 10, 22, 4, minute)).toISOString();
const point = (minute: number) => ({
  at: step(minute),
  heartbeats: 1,
  memory: { avg: 1024 ** 3, max: 2 * 1024 ** 3 },
  memory_total: 4 * 1024 ** 3,
  load: null,
  members: { avg: 3, max: 3 },
  instances: { avg: 7, max: 9 },
  storage: { local: { avg: 61.5, max: 70 } },
});

describe("the page of a cluster", () => {
  it("shows the facts, the statuses by their own names, the warnings and the pools", async () => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    const { user } = open(PAGE);
    expect(await screen.findByRole("heading", { level: 1, name: "oslo/core 1" })).toBeInTheDocument();
    for (const text of ["Since last heartbeat", "Total memory", "Total storage"]) {
      expect(await screen.findByText(text)).toBeInTheDocument();
    }
    expect(screen.getByRole("heading", { name: "3 members" })).toBeInTheDocument();
    expect(screen.getByRole("heading", { name: "9 instances" })).toBeInTheDocument();
    expect(screen.getByRole("img", { name: /^9 instances: 5 Running, .*1 Freezing$/ })).toBeInTheDocument();
    expect(screen.getByText("Freezing")).toBeInTheDocument();
    expect(screen.getByText("1 warning")).toBeInTheDocument();
    expect(screen.getByText("2 instances are in error state")).toBeInTheDocument();
    expect(screen.getByText("Tunnel registered")).toBeInTheDocument();
    expect(screen.getByText("ab".repeat(32))).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Audit records" })).toHaveAttribute(
      "href",
      "/ui/audit?object=oslo%2Fcore+1",
    );
    await user.click(screen.getByRole("button", { name: "View details" }));
    const dialog = within(screen.getByRole("dialog", { name: "Storage pool details" }));
    const pools = within(dialog.getByRole("table", { name: "Storage pools" }));
    expect(pools.getAllByRole("row")[1]).toHaveTextContent("locala0270 %");
    expect(pools.getByText("cluster wide")).toBeInTheDocument();
    await user.click(dialog.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("[unknown-cluster] says after one request that there is no such cluster", async () => {
    const server = serve({});
    open("/ui/cluster/nowhere");
    expect(await screen.findByRole("heading", { level: 1, name: "Cluster not found" })).toBeInTheDocument();
    expect(server.calls.filter((call) => call.endsWith("/nowhere"))).toHaveLength(1);
  });

  it("[copy-buttons] copies name, addresses, the time of the join, the certificate and its fingerprint", async () => {
    const entry = (value: string) => ({ value, title: "", description: "" });
    const configuration = {
      cluster_connector_domain: entry("connector.example.net"),
      cluster_connector_port: entry("443"),
    };
    const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    serve({
      [`GET ${OSLO}`]: { metadata: { ...oslo, cluster_certificate: pem } },
      "GET /1.0/configuration": { metadata: configuration },
    });
    const { user } = open(PAGE);
    await user.click(await screen.findByRole("button", { name: "Copy certificate fingerprint" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("ab".repeat(32));
    await user.click(screen.getByRole("button", { name: "Copy name" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("oslo/core 1");
    await user.click(screen.getByRole("button", { name: "Copy LXD UI" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("https://10.40.7.11:8443");
    await user.click(screen.getByRole("button", { name: "Copy connector address" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("connector.example.net:443");
    await user.click(screen.getByRole("button", { name: "Copy time of the join" }));
    await expect(navigator.clipboard.readText()).resolves.toBe("2026-11-01T08:15:42Z");
    expect(screen.getByText(/^Valid until 1 Nov 2036|^Valid until Nov 1, 2036/)).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Copy certificate" }));
    await expect(navigator.clipboard.readText()).resolves.toBe(pem);
  });

  it("has a tab with an address for everything", async () => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    const { user } = open(PAGE);
    for (const [tab, heading] of [
      ["Members", "Members with storage pools of their own"],
      ["Storage", "3 storage pools"],
      ["Warnings", "1 warning"],
    ] as const) {
      await user.click(await screen.findByTestId(`tab-link-${tab}`));
      expect(await screen.findByRole("heading", { name: heading })).toBeInTheDocument();
      expect(window.location.pathname).toBe(`${PAGE}/${tab.toLowerCase()}`);
      expect(screen.getByTestId(`tab-link-${tab}`)).toHaveAttribute("aria-current", "page");
    }
  });

  it("[history-chart] charts the history and has every value as a table", async () => {
    const asked: string[] = [];
    const server = serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    server.match((key) => {
      if (!key.startsWith("GET /1.0/fleet/history/oslo%2Fcore%201?")) return undefined;
      asked.push(key);
      return { metadata: { from: step(0), to: step(59), step_seconds: 60, points: [point(1), point(2), point(30)] } };
    });
    const { user } = open(`${PAGE}/history`);
    const chart = await screen.findByRole("figure", { name: "Memory" });
    expect(within(chart).getByRole("img")).toHaveAccessibleName(/newest values: used 1.0 GiB, peak 2.0 GiB/);
    await user.click(within(chart).getByText("Table of values"));
    const rows = within(await within(chart).findByRole("table", { name: "Memory" })).getAllByRole("row");
    expect(rows).toHaveLength(5);
    expect(screen.getByText(/^One point for every 1 min$/)).toBeInTheDocument();
    expect(rows[1]).toHaveTextContent("1.0 GiB2.0 GiB4.0 GiB");
    expect(rows[2]).toHaveTextContent("no heartbeat");
    expect(within(screen.getByRole("figure", { name: "Storage pools" })).getByText("61.5 %")).toBeInTheDocument();
    expect(screen.getByRole("figure", { name: "CPU load" })).toBeInTheDocument();
    await user.click(screen.getByRole("radio", { name: "7 days" }));
    expect(window.location.search).toBe("?range=7d");
    await waitFor(() => expect(asked.length).toBeGreaterThan(1));
    const times = new URLSearchParams(asked.at(-1)?.split("?")[1]);
    expect(Date.parse(times.get("to") ?? "") - Date.parse(times.get("from") ?? "")).toBe(7 * 86_400_000);
  });

  it("says since when there are values, where most of the time has none", async () => {
    const server = serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    server.match((key) =>
      key.startsWith("GET /1.0/fleet/history/")
        ? { metadata: { from: step(0), to: step(59), step_seconds: 60, points: [point(50), point(51)] } }
        : undefined,
    );
    open(`${PAGE}/history`);
    expect(await screen.findByText(/^One point for every 1 min, no values before .+/)).toBeInTheDocument();
  });

  it("leaves out what a viewer may not do", async () => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo }, "GET /1.0": { metadata: { ...ADMIN, role: "viewer" } } });
    open(`${PAGE}?panel=configure-cluster&cluster=oslo%2Fcore+1`);
    await screen.findByText("Tunnel registered");
    expect(screen.queryByRole("link", { name: "Audit records" })).not.toBeInTheDocument();
    for (const name of ["Configure", "Remove", "Edit description"]) {
      expect(screen.queryByRole("button", { name })).not.toBeInTheDocument();
    }
    expect(screen.queryByRole("heading", { name: /^Configure cluster/ })).not.toBeInTheDocument();
  });
});

describe("configuring a cluster", () => {
  const PANEL = `${PAGE}?panel=configure-cluster&cluster=oslo%2Fcore+1&focusField=memoryThreshold`;

  it("focuses the field of the address and sends only what was changed", async () => {
    const sent: unknown[] = [];
    serve({
      [`GET ${OSLO}`]: { metadata: oslo },
      [`PATCH ${OSLO}`]: (body) => {
        sent.push(body);
        return { metadata: {} };
      },
    });
    const { user } = open(PANEL);
    const memory = await screen.findByLabelText("Memory threshold percentage");
    expect(memory).toHaveFocus();
    expect(screen.getByRole("button", { name: "Save changes" })).toHaveAttribute("aria-disabled", "true");
    await user.clear(memory);
    await user.type(memory, "0");
    expect(await screen.findByText("The threshold must be a whole number from 1 to 100.")).toBeInTheDocument();
    await user.clear(memory);
    await user.type(memory, "95{Enter}");
    expect(await screen.findByText("Updated cluster oslo/core 1.")).toBeInTheDocument();
    expect(sent).toEqual([{ memory_threshold: 95 }]);
    expect(window.location.search).toBe("");
  });

  it("shows the server's refusal at its field and keeps what was typed", async () => {
    serve({
      [`GET ${OSLO}`]: { metadata: oslo },
      [`PATCH ${OSLO}`]: { status: 400, error: "the description is too long" },
    });
    const { user } = open(PANEL);
    const description = await screen.findByLabelText("Description");
    await user.type(description, " more{Enter}");
    expect(await screen.findByText("The description is too long.")).toBeInTheDocument();
    expect(description).toHaveValue("Edge rack, Lyon more");
    expect(description).toHaveAttribute("aria-invalid", "true");
  });

  it.each([
    ["Disk threshold percentage", "90", "disk_threshold must be 1 to 100"],
    ["Memory threshold percentage", "90", "memory_threshold must be 1 to 100"],
    ["Address of the LXD UI", "https://lxd.example", "ui_url leads back here"],
  ])("shows what the server says of %s there", async (label, text, error) => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo }, [`PATCH ${OSLO}`]: { status: 400, error } });
    const { user } = open(PANEL);
    const field = await screen.findByLabelText(label);
    await user.clear(field);
    await user.type(field, `${text}{Enter}`);
    await waitFor(() => expect(field).toHaveAttribute("aria-invalid", "true"));
    expect(field).toHaveAccessibleDescription(new RegExp(error.slice(5)));
    expect(field).toHaveDisplayValue(text);
  });

  it.each([
    ["Disk threshold percentage", "{Control>}a{/Control}{Backspace}", "Enter a percentage."],
    ["Disk threshold percentage", "1", "The threshold must be a whole number from 1 to 100."],
    ["Memory threshold percentage", ".5", "The threshold must be a whole number from 1 to 100."],
    ["Description", "x".repeat(512), "512 are allowed"],
  ])("checks %s while it is typed", async (label, keys, problem) => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    const { user } = open(PANEL);
    const field = await screen.findByLabelText(label);
    await user.click(field);
    if (keys.length > 100) await user.paste(keys);
    else await user.keyboard(keys);
    await waitFor(() => expect(field).toHaveAccessibleDescription(new RegExp(problem)));
    expect(screen.getByRole("button", { name: "Save changes" })).toHaveAttribute("aria-disabled", "true");
  });

  it("refuses an address that no browser should open", async () => {
    serve({ [`GET ${OSLO}`]: { metadata: oslo } });
    const { user } = open(PANEL);
    await user.type(await screen.findByLabelText("Address of the LXD UI"), "javascript:alert(1)");
    expect(await screen.findByText(/Enter an address that begins with https/)).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Save changes" })).toHaveAttribute("aria-disabled", "true");
  });

  it("says what failed in the panel and stays open", async () => {
    serve({
      [`GET ${OSLO}`]: { metadata: oslo },
      [`PATCH ${OSLO}`]: { status: 503, error: "the database is not available, try again later" },
    });
    const { user } = open(PANEL);
    const memory = await screen.findByLabelText("Memory threshold percentage");
    await user.clear(memory);
    await user.type(memory, "90{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent(/The database is not available/);
    expect(memory).toHaveValue(90);
  });
});
