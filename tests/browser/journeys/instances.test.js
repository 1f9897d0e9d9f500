import assert from "node:assert/strict";
import { test } from "node:test";
import { lookAt } from "../src/checks.js";
import { clusterLinks, suite } from "../src/suite.js";

const { visitPage } = suite();

const WITH_TUNNEL = "/ui/clusters?query=tunnel%3Ayes+status%3Aonline";

/** The tab with the instances of the first cluster in the list. */
async function openTab(page) {
  await clusterLinks(page).first().click();
  await page.getByTestId("tab-link-Instances").click();
}

async function openInstances(page) {
  await openTab(page);
  await page.getByRole("table", { name: "Instances" }).waitFor();
}

const statusOf = (row) => row.locator(".col-state").innerText();

test("[tunnel-list] [tunnel-stop-start] instances are listed, stopped and started", async () => {
  const visitor = await visitPage(WITH_TUNNEL);
  const { page } = visitor;
  await openInstances(page);
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

lookAt("instances", visitPage, [
  ["instances", WITH_TUNNEL, openInstances],
  [
    "no-tunnel",
    "/ui/clusters?query=tunnel%3Ano+status%3Aonline",
    async (page) => {
      await openTab(page);
      await page.getByText("microcloud cluster-manager set reverse_tunnel true").waitFor();
    },
  ],
]);

test("[no-tunnel-hint] a cluster without a tunnel says how to turn it on", async () => {
  const visitor = await visitPage("/ui/clusters?query=tunnel%3Ano+status%3Aonline");
  const { page } = visitor;
  await openTab(page);
  await page.getByText("microcloud cluster-manager set reverse_tunnel true").waitFor();
  await page.getByRole("button", { name: /^Copy/ }).waitFor();
  await visitor.leave();
});
