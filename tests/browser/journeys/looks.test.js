import assert from "node:assert/strict";
import { test } from "node:test";
import { assertPresentable, choose, lookAt } from "../src/checks.js";
import { MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, list, suite } from "../src/suite.js";

const { visitPage, openList } = suite();

const heading = (name) => (page) => page.getByRole("heading", { name }).first().waitFor();

async function openMenu(page) {
  await list(page);
  await page
    .getByRole("button", { name: /^Actions for / })
    .first()
    .click();
  await page.getByRole("menuitem", { name: "Remove" }).waitFor();
}

async function showToken(page) {
  await page.getByPlaceholder("Enter Name").fill(`looks-${Date.now().toString(36)}`);
  await page.getByRole("button", { name: "Create" }).click();
  await page
    .getByRole("dialog")
    .getByText(/^Waiting for/)
    .waitFor();
}

/** Every screen, panel and dialog: its name, its address, and how to get there from the address. */
const SCREENS = [
  ["list", "/ui/clusters", list],
  ["search", "/ui/clusters?query=no-such-cluster", heading("No clusters match")],
  ["row-menu", "/ui/clusters", openMenu],
  [
    "remove",
    "/ui/clusters",
    async (page) => {
      await openMenu(page);
      await page.getByRole("menuitem", { name: "Remove" }).click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "enrol",
    "/ui/clusters?panel=enroll-cluster",
    async (page) => {
      await page.getByPlaceholder("Enter Name").waitFor();
      await choose(page, "radio", "Custom");
      await page.getByLabel("Date and time").waitFor();
    },
  ],
  [
    "enrol-problem",
    "/ui/clusters?panel=enroll-cluster",
    async (page) => {
      await page.getByPlaceholder("Enter Name").fill("not allowed");
      await page.getByRole("alert").waitFor();
    },
  ],
  ["join-command", "/ui/clusters?panel=enroll-cluster", showToken],
  ["tokens", "/ui/clusters/tokens", (page) => page.getByRole("table", { name: "Join tokens" }).waitFor()],
  [
    "revoke",
    "/ui/clusters/tokens",
    async (page) => {
      await page
        .getByRole("checkbox", { name: /^Select looks-/ })
        .first()
        .check({ force: true });
      await page.getByRole("button", { name: /^Revoke tokens?$/ }).click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "revoked",
    "/ui/clusters/tokens",
    async (page) => {
      const row = page.getByRole("row", { name: /looks-/ }).first();
      await row.getByRole("button").click();
      await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
      await page.getByRole("button", { name: "1 notification" }).click();
      await page.getByRole("region", { name: "Notifications" }).waitFor();
    },
  ],
  [
    "cluster",
    "/ui/clusters",
    async (page) => {
      await clusterLinks(page).first().click();
      await page.getByText("Certificate fingerprint", { exact: true }).waitFor();
    },
  ],
  ["no-cluster", "/ui/cluster/no-such-cluster", heading("Cluster not found")],
  ["settings", "/ui/settings", (page) => page.getByRole("row", { name: /API Version/ }).waitFor()],
  ["not-found", "/ui/no/such/page", heading("Page not found")],
];

lookAt("screens, panels and dialogs", visitPage, SCREENS);

lookAt("the login", (address, options) => visitPage(address, { ...options, storageState: undefined }), [
  ["login", "/ui/login", (page) => page.getByRole("link", { name: "Login" }).waitFor()],
]);

test("on a phone a cluster takes at most 72 pixels", async () => {
  const visitor = await openList("/ui/clusters", { width: 400, height: 860 });
  const { page } = visitor;
  const heights = await page
    .locator(".clusterlist-table tbody tr")
    .evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
  assert.ok(Math.max(...heights) <= 72, `rows are up to ${Math.max(...heights)} px high`);
  const row = await page.locator(".clusterlist-table tbody tr").first().innerText();
  assert.match(row, /(Online|Stale|Offline|Waiting|Never connected)\s+(seen|joined) .* ago\s+\d+/);

  await page.getByRole("button", { name: "Menu", exact: true }).click();
  await page.getByRole("link", { name: "Settings" }).waitFor();
  await assertPresentable(page, "navigation");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Settings" }).waitFor({ state: "hidden" });
  await visitor.leave();
});

test("[dark-theme] a chosen theme is there from the first paint on, and stays", async () => {
  const visitor = await visitPage("/ui/settings");
  const { page } = visitor;
  const isDark = () => page.evaluate(() => document.documentElement.classList.contains("is-dark"));
  await page.getByTitle("Dark theme").click();
  assert.equal(await isDark(), true);
  await page.route(/\/assets\/index-.*\.js$/, (route) => route.abort());
  await page.goto(`${MANAGEMENT_URL}/ui/settings`);
  assert.equal(await isDark(), true, "the theme waits for the application");
  await visitor.leave();
});

for (const width of [1440, 400]) {
  test(`what the keyboard goes to is not below what sticks to the edges, ${width} px`, async () => {
    const visitor = await openList("/ui/clusters", { width, height: 500 });
    const { page } = visitor;
    const below = () =>
      page.evaluate(() => {
        const { left, top, bottom } = document.activeElement.getBoundingClientRect();
        const hidden = [top + 2, bottom - 2].filter(
          (y) => !document.activeElement.contains(document.elementFromPoint(left + 20, y)),
        );
        return hidden.map((y) => `${y} px of ${document.activeElement.textContent.slice(0, 30)}`);
      });
    for (const press of [..."j".repeat(15), ..."k".repeat(14)]) {
      await page.keyboard.press(press);
      assert.deepEqual(await below(), [], `after ${press}`);
    }
    await visitor.leave();
  });
}
