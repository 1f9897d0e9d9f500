import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { choose } from "../src/checks.js";
import { MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, suite } from "../src/suite.js";

const { openList } = suite();

const firstName = (page) => clusterLinks(page).first().innerText();

test("a threshold and a description are changed, and both stay", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const name = await firstName(page);
  await page.getByRole("link", { name, exact: true }).first().click();
  await page.getByRole("button", { name: "Configure", exact: true }).click();
  const before = await page.getByLabel("Disk threshold percentage").inputValue();
  const wanted = before === "97" ? "96" : "97";
  await page.getByLabel("Disk threshold percentage").fill(wanted);
  await page.getByLabel("Description").fill("Changed by a browser test");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByText(`Updated cluster ${name}`).first().waitFor();
  await page.getByText("Changed by a browser test").waitFor();

  // A bulk change of another field leaves both alone.
  await page.goto(`${MANAGEMENT_URL}/ui/clusters?query=name%3D${encodeURIComponent(name)}`);
  await choose(page, "checkbox", `Select ${name}`);
  await page.getByRole("button", { name: "Configure cluster", exact: true }).click();
  await page.getByTitle("Set Memory threshold percentage").click();
  const memory = page.getByLabel("Memory threshold percentage");
  await memory.fill((await memory.inputValue()) === "93" ? "94" : "93");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByText("Updated 1 cluster").first().waitFor();
  await page.getByRole("link", { name, exact: true }).first().click();
  await page.getByText("Changed by a browser test").waitFor();
  await page.getByRole("button", { name: "Configure", exact: true }).click();
  assert.equal(await page.getByLabel("Disk threshold percentage").inputValue(), wanted);
  await visitor.leave();
});

test("many are changed at once, and nothing stays selected", async () => {
  const visitor = await openList();
  const { page } = visitor;
  await choose(page, "checkbox", "Select all");
  await page.getByText(/^All [\d,]+ clusters selected\.$/).waitFor();
  await page.getByRole("button", { name: "Configure clusters" }).click();
  await page.getByTitle("Set Disk threshold percentage").click();
  await page.getByLabel("Disk threshold percentage").fill("88");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page
    .getByText(/^Updated [\d,]+ clusters/)
    .first()
    .waitFor();
  await page.getByText(/^Showing all/).waitFor();
  await visitor.leave();
});

test("[export-csv] [export-json] the view is exported as it is shown", async () => {
  const visitor = await openList("/ui/clusters?query=mem%3E0&sort=-memory");
  const { page } = visitor;
  const names = await clusterLinks(page).allInnerTexts();
  const save = async (entry) => {
    await page.getByRole("button", { name: "Export", exact: true }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: entry }).click();
    return readFile(await (await download).path(), "utf8");
  };
  const lines = (await save("Export as CSV")).trimEnd().split("\r\n");
  assert.match(lines[0], /^name,description,state,/);
  assert.deepEqual(
    lines.slice(1).map((line) => line.split(",")[0]),
    names,
  );
  const objects = JSON.parse(await save("Export as JSON"));
  assert.deepEqual(
    objects.map(({ name }) => name),
    names,
  );
  await visitor.leave();
});

test("[saved-views] a view is saved, opened and forgotten", async () => {
  const visitor = await openList("/ui/clusters?query=mem%3E0&sort=-memory&columns=name,memory");
  const { page } = visitor;
  await page.getByRole("button", { name: "Saved views", exact: true }).click();
  await page.getByLabel("Save the current view as").fill("Full ones");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await page.getByRole("button", { name: "Saved views", exact: true }).click();
  await page.getByRole("link", { name: "Full ones" }).click();
  await page.waitForURL(/query=mem/);
  // The address changes before the page does.
  await page.waitForFunction((box) => box.value === "mem>0", await page.getByRole("searchbox").elementHandle());
  await page.getByRole("button", { name: "Saved views", exact: true }).click();
  await page.getByRole("button", { name: "Forget the view Full ones" }).click();
  await page.getByText("No saved views yet", { exact: false }).waitFor();
  await visitor.leave();
});

test("[keyboard-only-journey] from the list to a saved change without a mouse", async () => {
  const visitor = await openList();
  const { page } = visitor;
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const row = await page.evaluate(() => document.activeElement.querySelector("th a").textContent);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: row }).waitFor();
  const configure = page.getByRole("button", {
    name: "Configure",
    exact: true,
  });
  await configure.waitFor();
  for (let tabs = 0; tabs < 20; tabs += 1) {
    if (await configure.evaluate((button) => button === document.activeElement)) break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  const disk = page.getByLabel("Disk threshold percentage");
  await disk.waitFor();
  await page.waitForFunction((field) => field === document.activeElement, await disk.elementHandle());
  const value = (await disk.inputValue()) === "91" ? "92" : "91";
  await page.keyboard.press("Control+a");
  await page.keyboard.type(value);
  await page.keyboard.press("Enter");
  await page.getByText(`Updated cluster ${row}`).first().waitFor();
  await page.waitForFunction((button) => button === document.activeElement, await configure.elementHandle());
  await visitor.leave();
});
