import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, assertPresentable } from "../src/checks.js";
import { logIn } from "../src/people.js";
import { ADMIN, MANAGEMENT_URL, VIEWER } from "../src/settings.js";
import { list, suite } from "../src/suite.js";

const { visit, stranger } = suite();

test("a deep link leads through the login and back to the page first asked for", async () => {
  const visitor = await stranger();
  const { page } = visitor;
  await logIn(page, ADMIN, "/ui/clusters/tokens?sort=name");
  await page.getByTestId("tab-link-Tokens").and(page.locator("[aria-current=page]")).waitFor();
  assert.equal(await page.title(), "Tokens | MicroCloud Cluster Manager");
  await visitor.leave();
});

test("the bare address leads to the list of clusters", async () => {
  const visitor = await stranger();
  const { page } = visitor;
  await logIn(page, ADMIN);
  await page.goto(`${MANAGEMENT_URL}/`);
  await page.waitForURL(`${MANAGEMENT_URL}/ui/clusters`);
  await list(page);
  await visitor.leave();
});

test("logging out ends the session", async () => {
  const visitor = await stranger();
  const { page, context } = visitor;
  await logIn(page, ADMIN);
  await list(page);
  const cookies = await context.cookies();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL((url) => url.origin === MANAGEMENT_URL && url.pathname === "/ui/login/");
  await page.getByRole("link", { name: "Login" }).waitFor();

  // At the identity provider, too: the next person is asked who they are.
  await page.getByRole("link", { name: "Login" }).click();
  await page.getByLabel("Email").waitFor();

  // Not only forgotten by the browser: the server does not know the session any more either.
  await context.addCookies(cookies);
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await page.getByRole("link", { name: "Login" }).waitFor();
  await visitor.leave();
});

test("a logout at the identity provider ends the session here, and the open page says so", async () => {
  const visitor = await stranger();
  const { page, context } = visitor;
  await logIn(page, ADMIN);
  await list(page);
  const begun = await context.request.get(`${MANAGEMENT_URL}/oidc/login`, { maxRedirects: 0 });
  const provider = await context.newPage();
  await provider.goto(new URL("/session/end", begun.headers().location).href);
  await provider.getByRole("button", { name: "Log out" }).click();
  await provider.getByText("You are logged out").waitFor();
  await page.keyboard.press("r");
  await page.getByRole("dialog", { name: "Your session has ended" }).waitFor();
  await visitor.leave();
});

test("a login that was cancelled says so in words", async () => {
  const visitor = await stranger();
  const { page } = visitor;
  await page.goto(`${MANAGEMENT_URL}/ui/`);
  await page.getByRole("link", { name: "Login" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("The identity provider did not let you in.").waitFor();
  await assertAccessible(page, "the login after a refusal");
  await visitor.leave();
});

test("[session-expired-keeps-form] a session that ends during work keeps the page and what was typed", async () => {
  const visitor = await stranger();
  const { page, context } = visitor;
  await logIn(page, ADMIN, "/ui/clusters?sort=-memory");
  await list(page);
  await page.getByRole("button", { name: "Enroll cluster" }).click();
  await page.getByPlaceholder("Enter Name").fill("typed-before");
  await context.clearCookies();
  await page.getByRole("button", { name: "Create" }).click();
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await dialog.waitFor();
  await assertPresentable(page, "session-ended");

  const opened = context.waitForEvent("page");
  await dialog.getByRole("link", { name: "Log in again" }).click();
  const second = await opened;
  await second.getByLabel("Email").fill(ADMIN);
  await second.getByRole("button", { name: "Continue", exact: true }).click();
  await second.getByRole("heading", { name: "You are logged in" }).waitFor();
  await assertAccessible(second, "the tab of the second login");
  await second.close();

  await dialog.waitFor({ state: "detached" });
  assert.equal(await page.getByPlaceholder("Enter Name").inputValue(), "typed-before");
  await visitor.leave();
});

test("[login-next] a session that ended may also go on in the same tab, on the page that was left", async () => {
  const visitor = await stranger();
  const { page, context } = visitor;
  await logIn(page, ADMIN, "/ui/clusters?sort=-memory");
  await list(page);
  await context.clearCookies();
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByRole("link", { name: "Log in on this page instead" }).click();
  await page.getByLabel("Email").fill(ADMIN);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await page.waitForURL(`${MANAGEMENT_URL}/ui/clusters?sort=-memory`);
  await visitor.leave();
});

test("[cross-site-link] a link on another site opens the page that it names", async () => {
  const visitor = await visit();
  const { page, context } = visitor;
  const body = `<a href="${MANAGEMENT_URL}/ui/clusters/tokens">Tokens</a>`;
  await context.route("http://dashboards.example/", (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto("http://dashboards.example/");
  await page.getByRole("link", { name: "Tokens" }).click();
  await page.waitForURL(`${MANAGEMENT_URL}/ui/clusters/tokens`);
  await page.getByRole("heading", { level: 1, name: "Clusters" }).waitFor();
  await visitor.leave();
});

test("[chunk-reload] a file that is missing after an upgrade leads to one reload, then to words", async () => {
  const visitor = await visit();
  const { page } = visitor;
  let loads = 0;
  page.on("request", (request) => (loads += request.isNavigationRequest() ? 1 : 0));
  await page.route(/\/assets\/pages-.*\.js$/, (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await page.getByRole("heading", { name: "This page could not be shown" }).waitFor();
  assert.equal(loads, 2);
  await assertAccessible(page, "the page of a missing file");
  await page.unroute(/\/assets\/pages-.*\.js$/);
  await page.getByRole("button", { name: "Reload the page" }).click();
  await list(page);
  await visitor.leave();
});

for (const width of [1440, 400, 320]) {
  test(`[no-rights-page] somebody without rights is told so, ${width} px`, async () => {
    const visitor = await stranger({ width, height: 860 });
    const { page } = visitor;
    await logIn(page, VIEWER);
    await page.getByRole("heading", { level: 1, name: "Your account has no access" }).waitFor();
    const main = page.getByRole("main");
    assert.match(await main.innerText(), /You are logged in as [\s\S]*viewer@example\.com/);
    await main.getByRole("button", { name: "Log out" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Enroll cluster" }).count(), 0);
    await assertPresentable(page, "no-rights");

    await page.goto(`${MANAGEMENT_URL}/ui/clusters?panel=enroll-cluster`);
    await page.getByRole("heading", { level: 1, name: "Your account has no access" }).waitFor();
    assert.equal(await page.getByPlaceholder("Enter name").count(), 0);
    await main.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("link", { name: "Login" }).waitFor();
    await visitor.leave();
  });
}
