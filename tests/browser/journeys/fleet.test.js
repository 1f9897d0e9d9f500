import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible } from "../src/checks.js";
import { FLEET, MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, list, listShows, suite } from "../src/suite.js";

const { openList } = suite();

const rows = (page) => page.locator(".clusterlist-table tbody tr");
const cells = (page, column) => page.locator(`.clusterlist-table tbody .col-${column}`);

test("the whole fleet is listed with its figures", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const count = Number(await page.locator(".clusterlist-table").getAttribute("aria-rowcount")) - 1;
  assert.ok(count >= FLEET, `${count} clusters are listed, ${FLEET} are there`);
  assert.equal(await rows(page).count(), count);

  const online = rows(page).filter({
    has: page.locator(".col-status .is-online"),
  });
  assert.ok((await online.count()) > 0, "no cluster is online");
  const row = online.first();
  const text = async (column) => (await row.locator(`.col-${column}`).innerText()).trim().replace(/\s+/g, " ");
  assert.match(await text("status"), /^Online seen \d+ (s|min) ago$/);
  assert.match(await text("members"), /^\d+( of \d+)?$/);
  assert.match(await text("instances"), /^\d[\d,]* of \d[\d,]*$/);
  assert.match(await text("load"), /^\d+\.\d\d$/);
  assert.match(await text("memory"), /^(Over the threshold of \d+ % )?\d+ % of [\d.]+ [KMGTPE]iB$/);
  assert.match(await text("disk"), /^(Over the threshold of \d+ % )?\d+ % \S+/);

  const summary = await page.getByRole("region", { name: "Fleet summary" }).innerText();
  assert.match(summary, new RegExp(`Clusters\\s+${count}\\b`));
  await visitor.leave();
});

test("the figures are live: the next heartbeats arrive in the open page", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const newest = () =>
    cells(page, "heartbeat")
      .locator("time")
      .evaluateAll((times) =>
        times
          .map((time) => time.dateTime)
          .sort()
          .at(-1),
      );
  const first = await newest();
  const deadline = Date.now() + 100_000;
  while ((await newest()) === first) {
    assert.ok(Date.now() < deadline, `no heartbeat after ${first} appeared`);
    await page.waitForTimeout(1000);
    await page.getByRole("button", { name: "Refresh now" }).click();
  }
  await visitor.leave();
});

test("the list refreshes itself, and not while it is paused", async () => {
  const visitor = await openList();
  const { page } = visitor;
  await page.clock.install();
  await page.reload();
  await list(page);
  let asked = 0;
  page.on("request", (request) => (asked += request.url().endsWith("/1.0/fleet/clusters?rows=values") ? 1 : 0));
  const renewed = page.waitForResponse((response) => response.url().endsWith("/1.0/fleet/clusters?rows=values"));
  await page.clock.runFor(31_000);
  await renewed;
  await page.getByRole("button", { name: "Pause automatic updates" }).click();
  await page.getByText(/^Paused, updated/).waitFor();
  const before = asked;
  await page.clock.runFor(120_000);
  assert.equal(asked, before, "the list was asked for while it was paused");
  await visitor.leave();
});

test("search and sort are in the address, survive a reload and the way back", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const names = () => clusterLinks(page).allInnerTexts();
  const all = await names();

  await page.getByRole("button", { name: "Cluster Name" }).click();
  await page.waitForURL(/sort=-name/);
  await listShows(page, [...all].reverse());
  await page.goBack();
  await listShows(page, all);

  const wanted = all[3];
  await page.getByRole("searchbox", { name: "Search and filter" }).fill(wanted.toUpperCase());
  await page.getByRole("status").filter({ hasText: /match/ }).waitFor();
  const found = await names();
  assert.ok(found.includes(wanted) && found.length < all.length, `${found} for ${wanted}`);
  await page.reload();
  await list(page);
  await listShows(page, found);
  assert.equal(await page.getByRole("searchbox").inputValue(), wanted.toUpperCase());
  await visitor.leave();
});

test("every column with a figure sorts, and says so", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const headers = page.locator(".clusterlist-table thead th[aria-sort]");
  assert.equal(await headers.count(), 10);
  for (const header of await headers.all()) {
    const before = await header.getAttribute("aria-sort");
    await header.getByRole("button").click();
    await page.waitForFunction(
      ([element, old]) => element.getAttribute("aria-sort") !== old,
      [await header.elementHandle(), before],
    );
    assert.match(await header.getAttribute("aria-sort"), /^(ascending|descending)$/);
  }
  await visitor.leave();
});

test("[row-density] a screen shows at least 12 clusters with the summary and 16 without", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const visible = () =>
    rows(page).evaluateAll((all) => {
      const bottom = document.querySelector(".status-bar").getBoundingClientRect().top;
      return all.filter((row) => row.getBoundingClientRect().bottom <= bottom).length;
    });
  const withSummary = await visible();
  const band = await page.getByRole("region", { name: "Fleet summary" }).boundingBox();
  assert.ok(band.height <= 180, `the summary is ${band.height} px high`);
  assert.ok(withSummary >= 12, `${withSummary} rows with the summary`);
  await page.getByRole("button", { name: "Hide summary" }).click();
  const without = await visible();
  assert.ok(without >= 16, `${without} rows without the summary`);
  await page.reload();
  await page.getByRole("button", { name: "Show summary" }).waitFor();
  await visitor.leave();
});

test("a cluster's page tells its facts", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const name = await cells(page, "name").locator("a").first().innerText();
  await page.getByRole("link", { name, exact: true }).click();
  await page.waitForURL(`${MANAGEMENT_URL}/ui/cluster/${encodeURIComponent(name)}`);
  await page.getByRole("heading", { level: 1, name }).waitFor();
  for (const text of [
    "Since last heartbeat",
    "Total memory",
    "Total storage",
    "Certificate fingerprint",
    "View details",
  ]) {
    await page.getByText(text, { exact: true }).waitFor();
  }
  assert.match(await page.locator(".about code").innerText(), /^[0-9a-f]{64}$/);
  await visitor.leave();
});

test("[offline-banner] a failing server leaves the old list in place and says what is wrong", async () => {
  const visitor = await openList();
  const { page, context } = visitor;
  const count = await rows(page).count();
  await context.setOffline(true);
  await page.getByRole("button", { name: "Refresh now" }).click();
  const alert = page.getByRole("alert");
  await alert.getByText("No connection to the server").waitFor();
  assert.equal(await rows(page).count(), count);
  await assertAccessible(page, "the list without a connection");
  await context.setOffline(false);
  await alert.waitFor({ state: "detached" });
  await visitor.leave();
});

test("the list can be used with the keyboard alone", async () => {
  const visitor = await openList();
  const { page } = visitor;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to main content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");

  const menu = page.getByRole("button", { name: /^Actions for / }).first();
  await menu.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem").first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.activeElement.textContent === "Remove");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Confirm remove" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction((button) => document.activeElement === button, await menu.elementHandle());
  await visitor.leave();
});
