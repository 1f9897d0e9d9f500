// States that a healthy server cannot be brought into by hand: its answers to some requests are changed on their way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertPresentable, lookAt } from "../src/checks.js";
import { suite } from "../src/suite.js";

const { visit, visitPage } = suite();

const API = /\/1\.0\/(fleet|remote-cluster|configuration|audit|sessions)/;
const envelope = (status, error, headers = {}) => ({
  status,
  headers,
  json: { type: "error", status: "", status_code: 0, operation: "", error_code: status, error, metadata: null },
});

/** What the page says when everything it asks for is answered like this. */
async function pageWith(answer, options) {
  const visitor = await visit(options);
  await visitor.page.route(API, (route) => route.fulfill(answer));
  return visitor;
}

const FAILURES = [
  [429, "too many requests, try again later", { "Retry-After": "7" }, "Wait 7 s, then try again."],
  [500, "Internal Server Error", {}, "tell your administrator"],
  [502, "", {}, "behind its proxy"],
  [503, "the database is not available, try again later", {}, "The database is not available, try again later."],
  [504, "", {}, "something may be busy or out of reach"],
];

for (const [status, error, headers, advice] of FAILURES) {
  test(`status ${status} of the list says what happened and what to do`, async () => {
    const { page, leave } = await pageWith(envelope(status, error, headers), { width: 400, height: 860 });
    await page.goto("/ui/clusters");
    const alert = page.getByRole("alert");
    await alert.getByText(advice).waitFor();
    assert.equal(await page.getByText("No active clusters found").count(), 0, "a failure looks like an empty fleet");
    await alert.getByRole("button", { name: "Try again" }).waitFor();
    await assertPresentable(page, `failure-${status}`);
    await leave();
  });
}

const loading = async (page, address, ready) => {
  await page.route(API, () => undefined);
  await page.goto(address);
  await ready(page);
};
const blank = "/ui/not-yet";
const status = (name) => (page) => page.getByRole("status", { name }).waitFor();
const answers = (metadata) => ({ json: { type: "sync", error: "", metadata } });

lookAt("states of waiting, failing and emptiness", visitPage, [
  ["list-loading", blank, (page) => loading(page, "/ui/clusters", status("Loading the clusters"))],
  ["tokens-loading", blank, (page) => loading(page, "/ui/clusters/tokens", status("Loading the tokens"))],
  ["settings-loading", blank, (page) => loading(page, "/ui/settings", status("Loading the configuration"))],
  [
    "list-empty",
    blank,
    async (page) => {
      await page.route("**/1.0/fleet/clusters?*", (route) => route.fulfill(answers([])));
      await page.goto("/ui/clusters");
      await page.getByRole("heading", { name: "No active clusters found" }).waitFor();
    },
  ],
  [
    "tokens-empty",
    blank,
    async (page) => {
      await page.route("**/1.0/remote-cluster-join-token", (route) => route.fulfill(answers([])));
      await page.goto("/ui/clusters/tokens");
      await page.getByRole("heading", { name: "No tokens found" }).waitFor();
    },
  ],
  [
    "list-failed",
    blank,
    async (page) => {
      await page.route(API, (route) => route.fulfill(envelope(500, "Internal Server Error")));
      await page.goto("/ui/clusters");
      await page.getByRole("alert").waitFor();
    },
  ],
  [
    "login-check",
    "/ui/settings",
    async (page) => {
      await page.getByRole("row", { name: /API Version/ }).waitFor();
      await page.getByRole("button", { name: "Check the login" }).click();
      await page.getByText("Nothing is wrong with the login").waitFor();
      await page.getByRole("heading", { name: "Login", exact: true }).evaluate((heading) => heading.scrollIntoView());
    },
  ],
]);

const INJECTED = `<img src=x onerror="window.injected=1"><script>window.injected=1</script>`;
const TURNED = "abc\u202Egnp.exe";
/** A row as the server sends it: the values in this order. */
const hostile = (name) =>
  Object.values({
    name,
    description: `${INJECTED} ${TURNED}`,
    state: "online",
    seen: Math.floor(Date.now() / 1000),
    members: [1, 1, 1, 0, 0],
    instances: [1, 0, 1, 0, 0],
    memory: [90, 100],
    storage: [90, 100],
    pool: [INJECTED, 90],
    load: "9.99",
    tunnel: true,
    warnings: ["pool", INJECTED],
    thresholds: [80, 80],
    joined: 1_700_000_000,
  });

function hostileDetails(name) {
  const statuses = [
    { status: INJECTED, count: 1 },
    { status: TURNED, count: 2 },
  ];
  return {
    name,
    description: `${INJECTED} ${TURNED}`,
    disk_threshold: 80,
    memory_threshold: 80,
    ceph_statuses: statuses,
    cpu_total_count: 1,
    cpu_load_1: INJECTED,
    cpu_load_5: "",
    cpu_load_15: "",
    memory_total_amount: 100,
    memory_usage: 90,
    storage_pool_usages: [{ name: INJECTED, member: TURNED, total: 100, usage: 90 }],
    member_statuses: statuses,
    instance_statuses: statuses,
    ui_url: "javascript:window.injected=1",
    ui_url_override: "",
    tunnel_registered: true,
    joined_at: "2026-11-01T08:15:42Z",
    state: "online",
    last_heartbeat_at: new Date().toISOString(),
    heartbeat_interval_seconds: 60,
    certificate_fingerprint: "ab".repeat(32),
    warnings: [{ kind: "pool", name: INJECTED, member: TURNED, percent: 90, threshold: 80 }, { kind: INJECTED }],
  };
}

/** Names that came with an imported database, and whatever else a cluster may say about itself. */
const NAMES = [INJECTED, TURNED, "a/b?c#d%e,f&g", "../../1.0", "x".repeat(200), "بيروت"];

test("a cluster whose name, description, statuses, pools and address are scripts runs none of them", async () => {
  const visitor = await visit();
  const { page } = visitor;
  await page.route("**/1.0/fleet/clusters?*", (route) => route.fulfill(answers(NAMES.map(hostile))));
  await page.route(/\/1\.0\/remote-cluster\/[^?]/, (route) => {
    const name = decodeURIComponent(new URL(route.request().url()).pathname.split("/")[3]);
    const instance = { name: INJECTED, project: TURNED, type: INJECTED, status: INJECTED, location: TURNED };
    const tunnel = route.request().url().includes("/tunnel/");
    return route.fulfill(
      answers(tunnel ? [{ ...instance, created_at: INJECTED, last_used_at: "" }] : hostileDetails(name)),
    );
  });
  for (const name of NAMES) {
    await page.goto("/ui/clusters");
    const shown = name === TURNED ? "abc\\u202egnp.exe" : name;
    await page.getByRole("link", { name: shown, exact: true }).first().click();
    await page.getByRole("heading", { level: 1, name: shown }).waitFor();
    assert.equal(new URL(page.url()).pathname, `/ui/cluster/${encodeURIComponent(name)}`);
    assert.equal(await page.getByRole("link", { name: "LXD UI" }).count(), 0, "a script became a link");
    for (const tab of ["Members", "Storage", "Warnings"]) {
      await page.getByTestId(`tab-link-${tab}`).click();
      await page.locator("main").getByText("onerror").first().waitFor();
    }
  }
  await page.getByTestId("tab-link-Instances").click();
  await page.getByRole("table", { name: "Instances" }).getByText("onerror").first().waitFor();
  const text = await page.locator("main").innerText();
  assert.ok(!text.includes("\u202E"), "a character that nobody sees is on the page");
  assert.equal(await page.evaluate(() => window.injected), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
  await assertPresentable(page, "hostile-instances");
  await page.goto("/ui/clusters");
  await page.getByRole("link", { name: "بيروت" }).first().waitFor();
  await assertPresentable(page, "hostile-list");
  await visitor.leave();
});
