// The main screens against pictures of how they are meant to look.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { assertLooksLike, differs, shot } from "../src/pictures.js";
import { recording } from "../src/recording.js";
import { clusterLinks, list, suite } from "../src/suite.js";

const { visit } = suite();
const answers = recording();
after(() => answers.keep());

const SIZES = { desk: [1440, 900], phone: [400, 860] };
/** Both themes have the same layout: each is seen at one size, so that the pictures stay few. */
const THEMES = { desk: "light", phone: "dark" };

const heading = (name) => (page) => page.getByRole("heading", { name }).first().waitFor();
const figure = (name) => (page) => page.getByRole("figure", { name, exact: true }).locator("canvas").waitFor();
const table = (name) => (page) => page.getByRole("table", { name }).waitFor();
/** The cluster that the pictures show: its tunnel is open, and it has warnings. */
const CLUSTER = "/ui/cluster/austin-store";

/** Every picture: its name, its address, and what is there once the page is. */
const SCREENS = [
  ["list", "/ui/clusters", list],
  ["overview", "/ui/overview", figure("Clusters")],
  ["cluster", CLUSTER, heading("2 warnings")],
  ["history", `${CLUSTER}/history?range=1h`, figure("Memory")],
  ["instances", `${CLUSTER}/instances`, table("Instances")],
  ["configure", `${CLUSTER}?panel=configure-cluster&cluster=austin-store`, heading("Configure cluster austin-store")],
  ["settings", "/ui/settings", table("Configuration of the server")],
  ["not-found", "/ui/no/such/page", heading("Page not found")],
  ["login", "/ui/login", (page) => page.getByRole("link", { name: "Login" }).waitFor()],
];

async function visitAt(address, size, name) {
  const [width, height] = SIZES[size];
  const session = name === "login" ? { storageState: undefined } : {};
  const visitor = await visit({ width, height, theme: THEMES[size], timezoneId: "UTC", ...session });
  await visitor.page.clock.setFixedTime(answers.at);
  if (name !== "login") await answers.attach(visitor.page);
  await visitor.page.goto(address);
  return visitor;
}

for (const size of Object.keys(SIZES)) {
  test(`the main screens look as they are meant to: ${size}`, async (t) => {
    for (const [name, address, ready] of SCREENS) {
      await t.test(name, async () => {
        const { page, leave } = await visitAt(address, size, name);
        await ready(page);
        await assertLooksLike(page, `${name}-${size}`);
        await leave();
      });
    }
  });
}

test("a row that moves, a colour and a missing label do not pass for the same look", async () => {
  const { page, leave } = await visitAt("/ui/clusters", "desk", "list");
  await list(page);
  const before = await shot(page);
  assert.equal(differs(await shot(page), before), null, "the page does not hold still");
  const changes = [
    [".clusterlist-table", "margin-top", "4px"],
    [".page-head__action", "background-color", "#24598f"],
    [".clusterlist-table tbody tr:nth-child(3) .col-name", "visibility", "hidden"],
  ];
  for (const change of changes) {
    const element = page.locator(change[0]).first();
    await element.evaluate((one, [, property, value]) => one.style.setProperty(property, value), change);
    assert.notEqual(differs(await shot(page), before), null, `nobody sees a change: ${change}`);
    await element.evaluate((one, [, property]) => one.style.removeProperty(property), change);
    assert.equal(differs(await shot(page), before), null, `it is not as before after ${change}`);
  }
  assert.equal((await clusterLinks(page).count()) > 0, true, "the recording has no clusters");
  await leave();
});
