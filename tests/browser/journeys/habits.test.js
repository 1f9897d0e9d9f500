// Labels, roles and addresses that operators and their scripts are used to: they stay letter for letter.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, list, suite } from "../src/suite.js";

const { visitPage, openList } = suite();
const { bugs: BUGS } = JSON.parse(readFileSync(new URL("../../../ui/package.json", import.meta.url), "utf8"));

test("a cluster's page has the labels of habit", async () => {
  const visitor = await openList("/ui/clusters?query=warning%3Amembers+status%3Aonline");
  const { page } = visitor;
  const name = await clusterLinks(page).first().innerText();
  await page.getByRole("link", { name, exact: true }).click();
  for (const text of ["Since last heartbeat", "Total memory", "Total storage"]) {
    await page.getByText(text, { exact: true }).waitFor();
  }
  for (const text of [/^\d+ members?/, /^\d+ instances?/]) {
    await page.locator(".cluster-detail-doughnut-graph").filter({ hasText: text }).waitFor();
  }
  await page.locator(".p-notification--caution").first().waitFor();
  await page.getByText(/^\d+ warnings?$/).waitFor();
  await page.getByText(/^Tunnel (registered|not available)$/).waitFor();
  await page.getByText("View details").click();
  await page.getByText("Storage pool details").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).click();
  for (const label of ["Configure", "Remove"]) await page.getByRole("button", { name: label, exact: true }).waitFor();

  // Without a description there is a button, with one a pencil beside it; both lead to the field.
  const setDescription = async (text) => {
    await page.getByRole("button", { name: "Configure", exact: true }).click();
    const field = page.getByLabel("Description");
    if ((await field.inputValue()) === text) return page.getByRole("button", { name: "Cancel" }).click();
    await field.fill(text);
    await page.getByRole("button", { name: "Save changes" }).click();
    return page.getByText(`Updated cluster ${name}`).last().waitFor();
  };
  const isFocused = async () =>
    page.waitForFunction(
      (field) => field === document.activeElement,
      await page.getByLabel("Description").elementHandle(),
    );
  await setDescription("");
  await page.getByRole("button", { name: "Add description", exact: true }).click();
  await isFocused();
  assert.match(page.url(), /panel=configure-cluster&cluster=.*&focusField=description/);
  await page.getByRole("button", { name: "Cancel" }).click();
  await setDescription("Words of habit");
  await page.locator("dd", { hasText: "Words of habit" }).getByRole("button").click();
  await isFocused();
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("link", { name: "Clusters", exact: true }).first().click();
  await list(page);
  assert.equal(new URL(page.url()).pathname, "/ui/clusters");
  await visitor.leave();
});

test("the list, the panels and the settings have the labels of habit", async () => {
  const visitor = await openList();
  const { page } = visitor;
  await page.locator(".scrollable-table .clusterlist-table tbody tr").first().waitFor();
  for (const id of ["tab-link-Active", "tab-link-Tokens"]) await page.getByTestId(id).waitFor();
  for (const column of ["Cluster Name", "Description", "Status", "Members", "Running instances", "Warnings"]) {
    await page.getByRole("columnheader", { name: column }).waitFor();
  }
  await page.getByText("Log out").waitFor();
  // Where nobody takes reports, nothing leads there.
  assert.equal(await page.getByRole("link", { name: "Report a bug" }).count(), BUGS === undefined ? 0 : 1);
  await page.getByRole("button", { name: "collapse main navigation" }).waitFor();
  await page.getByLabel("Select all").click({ force: true });
  await page.getByText(/^All \d+ clusters selected\.$/).waitFor();
  await page.getByRole("button", { name: "Configure clusters" }).click();
  for (const title of ["Set Disk threshold percentage", "Set Memory threshold percentage"]) {
    await page.getByTitle(title).click();
  }
  await page.getByTitle("Undo change").first().click();
  await visitor.leave();

  const settings = await visitPage("/ui/settings");
  const titles = [
    "Cluster Connector Domain",
    "Cluster Connector Port",
    "OIDC Client ID",
    "OIDC Issuer",
    "OIDC Audience",
  ];
  for (const title of titles) await settings.page.getByRole("row", { name: title }).waitFor();
  await settings.page.getByRole("row", { name: /API Version 1\.0/ }).waitFor();
  await settings.page.getByRole("row", { name: /OIDC Client Secret set/ }).waitFor();
  await settings.page.goto(`${MANAGEMENT_URL}/ui/login`);
  await list(settings.page);
  await settings.leave();
});
