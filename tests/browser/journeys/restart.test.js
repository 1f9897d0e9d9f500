import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { assertPresentable } from "../src/checks.js";
import { serverCommand } from "../src/settings.js";
import { clusterLinks, suite } from "../src/suite.js";

const { openList } = suite();
const server = (what) => promisify(execFile)(serverCommand(), [what]);

after(() => server("start"));

test("[error-keeps-data] a server that restarts loses neither the page nor what was typed, and nothing is sent twice", async () => {
  const visitor = await openList();
  const { page } = visitor;
  const count = await clusterLinks(page).count();
  const name = await clusterLinks(page).first().innerText();
  const changes = [];
  page.on("request", (request) => {
    if (request.method() !== "GET") changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: "Configure" }).click();
  const threshold = page.getByLabel("Memory threshold percentage");
  await threshold.waitFor();
  const wanted = (await threshold.inputValue()) === "77" ? "78" : "77";

  await server("stop");
  await threshold.fill(wanted);
  await page.getByRole("button", { name: "Save changes" }).click();
  const problem = page.getByRole("alert").filter({ hasText: "The changes were not saved" });
  await problem.getByText("look before you do it again").waitFor();
  assert.equal(await threshold.inputValue(), wanted);
  // The panel lies over the button; the keyboard reaches it.
  await page.getByRole("button", { name: "Refresh now" }).press("Enter");
  const banner = page.getByRole("alert").filter({ hasText: "No connection to the server" });
  await banner.waitFor();
  assert.equal(await clusterLinks(page).count(), count);
  await assertPresentable(page, "server-away");

  await server("start");
  await banner.waitFor({ state: "detached", timeout: 60_000 });
  assert.equal(await threshold.inputValue(), wanted);
  assert.equal(changes.length, 1, `sent by itself: ${changes}`);
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByText(`Updated cluster ${name}`).first().waitFor();
  assert.equal(changes.length, 2);
  await visitor.leave();
});
