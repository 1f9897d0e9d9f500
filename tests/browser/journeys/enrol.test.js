import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "../src/joining.js";
import { MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, suite } from "../src/suite.js";

/** A join, its first heartbeat and the page's next look at the list. */
const JOINED_MS = 90_000;

const { visit, visitPage } = suite();

const uniqueName = (start) => `${start}-${Date.now().toString(36)}`;

/** Fills in the panel and gives the dialog with the join command. */
async function createToken(page, name) {
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await page.getByRole("button", { name: "Enroll cluster" }).click();
  await page.getByPlaceholder("Enter Name").fill(name);
  await page.getByPlaceholder("Enter description").fill("Made by a browser test");
  await page.getByRole("button", { name: "Create" }).click();
  const dialog = page.getByRole("dialog", {
    name: `Join token for cluster ${name} created`,
  });
  await dialog.waitFor();
  return dialog;
}

async function removeCluster(page, name) {
  await page.goto(`${MANAGEMENT_URL}/ui/clusters?query=${encodeURIComponent(name)}`);
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: "Remove", exact: true }).click();
  await page.getByRole("button", { name: "Confirm remove", exact: true }).click();
  await page.getByText(`Removed cluster ${name}`).first().waitFor();
  await page.getByRole("button", { name: `Actions for ${name}` }).waitFor({ state: "detached" });
}

test("a cluster is enrolled with the command of the dialog, arrives online, and is removed", async () => {
  const visitor = await visit();
  const { page, context } = visitor;
  await context.grantPermissions(["clipboard-read", "clipboard-write"], {
    origin: MANAGEMENT_URL,
  });
  const consoleLines = [];
  page.on("console", (message) => consoleLines.push(message.text()));
  const name = uniqueName("browser");
  const dialog = await createToken(page, name);

  const command = await dialog.getByLabel("Join command").innerText();
  const token = /^microcloud cluster-manager join (\S+)$/.exec(command)?.[1];
  assert.ok(token, `not the join command: ${command}`);
  await dialog.getByRole("button", { name: "Copy command" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await dialog.getByRole("button", { name: "Copy token" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
  await dialog.getByText(`Waiting for ${name} to join…`).waitFor();

  // A click beside the dialog does not lose the only copy of the token.
  await page.mouse.click(5, 5);
  assert.ok(await dialog.isVisible());
  const kept = await page.evaluate(() =>
    JSON.stringify([location.href, history.state, { ...localStorage }, { ...sessionStorage }]),
  );
  assert.ok(!kept.includes(token), "the token is kept in the browser");
  assert.ok(!consoleLines.join("\n").includes(token), "the token is in the console");

  const cluster = join(token);
  try {
    const arrived = dialog.getByRole("link", { name, exact: true });
    await arrived.waitFor({ timeout: JOINED_MS }).catch((error) => {
      throw new Error(`${name} did not join: ${cluster.said()}`, {
        cause: error,
      });
    });
    await arrived.click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.goto(`${MANAGEMENT_URL}/ui/clusters?query=${encodeURIComponent(name)}`);
    const row = page.getByRole("row", { name: new RegExp(name) });
    const deadline = Date.now() + JOINED_MS;
    while (!(await row.locator(".col-status").innerText()).startsWith("Online")) {
      assert.ok(Date.now() < deadline, `${name} did not come online: ${cluster.said()}`);
      await page.waitForTimeout(1000);
      await page.getByRole("button", { name: "Refresh now" }).click();
    }
    await page.getByTestId("tab-link-Tokens").click();
    await page
      .getByRole("heading", { name: "No tokens found" })
      .or(page.getByText(/^\d+ tokens?$/))
      .waitFor();
    assert.equal(await page.getByRole("row", { name: new RegExp(name) }).count(), 0, "the used token is still listed");
  } finally {
    await cluster.stop();
  }
  await removeCluster(page, name);
  await visitor.leave();
});

test("a token is revoked", async () => {
  const visitor = await visit();
  const { page } = visitor;
  const name = uniqueName("revoked");
  const dialog = await createToken(page, name);
  await dialog.getByRole("button", { name: "Close", exact: true }).click();
  assert.equal(new URL(page.url()).pathname, "/ui/clusters/tokens");
  const row = page.getByRole("row", { name: new RegExp(name) });
  assert.match(await row.innerText(), /Valid\s+2[34] h left/);
  await row.getByRole("button").click();
  await page.getByRole("dialog", { name: "Confirm revoke" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByText(`Revoked token ${name}.`).first().waitFor();
  await row.waitFor({ state: "detached" });
  await visitor.leave();
});

test("names that are taken or not allowed are refused at the field", async () => {
  const visitor = await visit();
  const { page } = visitor;
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  const taken = await clusterLinks(page).first().innerText();
  await page.getByRole("button", { name: "Enroll cluster" }).click();
  const field = page.getByPlaceholder("Enter Name");
  for (const [name, problem] of [
    ["two words", /A space is not allowed/],
    ["-x", /must start with/],
    [taken, /already enrolled/],
  ]) {
    await field.fill(name);
    await page.getByRole("alert").getByText(problem).waitFor();
    assert.equal(await field.getAttribute("aria-invalid"), "true");
  }
  await visitor.leave();
});

test("the server's own refusal of a name is shown at the field", async () => {
  const first = await visit();
  const second = await visit();
  const name = uniqueName("twice");

  // The second person opened the panel before the first one made the token, so only the server can know.
  await second.page.goto(`${MANAGEMENT_URL}/ui/clusters?panel=enroll-cluster`);
  await second.page.getByPlaceholder("Enter Name").fill(name);
  await createToken(first.page, name);
  await second.page.getByRole("button", { name: "Create" }).click();
  await second.page
    .getByRole("alert")
    .getByText(/pending join token/i)
    .waitFor();
  assert.equal(await second.page.getByPlaceholder("Enter Name").inputValue(), name);
  await second.leave();

  await first.page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).click();
  await first.page
    .getByRole("row", { name: new RegExp(name) })
    .getByRole("button")
    .click();
  await first.page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await first.page.getByRole("row", { name: new RegExp(name) }).waitFor({ state: "detached" });
  await first.leave();
});
