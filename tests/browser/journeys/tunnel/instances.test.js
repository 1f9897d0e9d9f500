import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newVisitor, openBrowser } from "../../src/browser.js";
import { assertAccessible, assertNoOverflow, picture } from "../../src/checks.js";
import { sessionOf } from "../../src/people.js";
import { ADMIN, MANAGEMENT_URL } from "../../src/settings.js";

let browser;
let storageState;
before(async () => {
  browser = await openBrowser();
  storageState = await sessionOf(browser, ADMIN);
});
after(() => browser.close());

/** The instances of the first cluster that keeps a tunnel open. */
async function openInstances(visit = {}) {
  const visitor = await newVisitor(browser, { storageState, ...visit });
  const { page } = visitor;
  await page.goto(`${MANAGEMENT_URL}/ui/clusters?query=tunnel%3Ayes+status%3Aonline`);
  await page.locator(".clusterlist-table tbody .col-name a").first().click();
  await page.getByTestId("tab-link-Instances").click();
  await page.getByRole("table", { name: "Instances" }).waitFor();
  return visitor;
}

const statusOf = (row) => row.locator(".col-state").innerText();

test("[tunnel-list] [tunnel-stop-start] instances are listed, stopped and started", async () => {
  const visitor = await openInstances();
  const { page } = visitor;
  const row = page.getByRole("row").filter({ hasText: "Running" }).first();
  const name = (await row.locator(".col-name").innerText()).trim();
  const same = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
  for (const [action, status] of [
    ["Stop", "Stopped"],
    ["Start", "Running"],
  ]) {
    await same.getByRole("button", { name: `Actions for ${name}` }).click();
    await page.getByRole("menuitem", { name: action, exact: true }).click();
    if (action === "Stop") await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await same.filter({ hasText: status }).waitFor();
    assert.equal((await statusOf(same)).trim(), status);
  }
  await visitor.leave();
});

for (const theme of ["light", "dark"]) {
  for (const width of [1440, 400]) {
    test(`the instances are accessible and fit, ${theme}, ${width} px`, async () => {
      const visitor = await openInstances({ theme, width, height: 860 });
      await assertAccessible(visitor.page, "the instances");
      await assertNoOverflow(visitor.page, "the instances");
      await picture(visitor.page, `instances-${theme}-${width}`);
      await visitor.leave();
    });
  }
}

test("[no-tunnel-hint] a cluster without a tunnel says how to turn it on", async () => {
  const visitor = await newVisitor(browser, { storageState });
  const { page } = visitor;
  await page.goto(`${MANAGEMENT_URL}/ui/clusters?query=tunnel%3Ano+status%3Aonline`);
  await page.locator(".clusterlist-table tbody .col-name a").first().click();
  await page.getByTestId("tab-link-Instances").click();
  await page.getByText("microcloud cluster-manager set reverse_tunnel true").waitFor();
  await assertAccessible(page, "the hint about the tunnel");
  await picture(page, "no-tunnel-light-1440");
  await visitor.leave();
});
