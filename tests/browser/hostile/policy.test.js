import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newVisitor, openBrowser } from "../src/browser.js";
import { logIn } from "../src/people.js";
import { ADMIN, MANAGEMENT_URL } from "../src/settings.js";

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser.close());

const PAGES = [
  "/ui/clusters",
  "/ui/clusters?panel=enroll-cluster",
  "/ui/clusters/tokens",
  "/ui/cluster/lyon",
  "/ui/cluster/lyon/members",
  "/ui/cluster/lyon/storage",
  "/ui/cluster/lyon/instances",
  "/ui/cluster/lyon/warnings",
  "/ui/cluster/lyon/history",
  "/ui/overview",
  "/ui/audit",
  "/ui/settings",
  "/ui/no-such-page",
];

test("[web-04] no page breaks the policy", async () => {
  const visitor = await newVisitor(browser);
  const { page } = visitor;
  await page.goto(`${MANAGEMENT_URL}/ui/login/`);
  await page.getByRole("link", { name: "Login" }).waitFor();
  await logIn(page, ADMIN);
  for (const address of PAGES) {
    await page.goto(MANAGEMENT_URL + address);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    await page.waitForLoadState("load");
  }
  // Fails if any of them broke the policy or asked another site for something.
  await visitor.leave();
});

// What a hole in a page might let somebody write into it; each sets `window.struck` where it runs.
const INJECTIONS = {
  "an inline script": () => {
    const script = document.createElement("script");
    script.textContent = "window.struck = 1";
    document.body.append(script);
  },
  "an inline handler": () => {
    const box = document.createElement("div");
    box.innerHTML = '<img src="data:," onerror="window.struck = 1">';
    document.body.append(box);
  },
  "a script of another site": () => {
    const script = document.createElement("script");
    script.src = "https://evil.example/x.js";
    document.body.append(script);
  },
  "a script in an address": () => {
    const script = document.createElement("script");
    script.src = "data:text/javascript,window.struck=1";
    document.body.append(script);
  },
  "a frame": () => {
    const frame = document.createElement("iframe");
    frame.src = "data:text/html,<script>parent.postMessage('struck', '*')</script>";
    document.body.append(frame);
  },
};

for (const [what, inject] of Object.entries(INJECTIONS)) {
  test(`[web-04] ${what} does not run`, async () => {
    const visitor = await newVisitor(browser);
    const { page, context } = visitor;
    await page.goto(`${MANAGEMENT_URL}/ui/login/`);
    await page.getByRole("link", { name: "Login" }).waitFor();
    const refused = page.evaluate(
      () => new Promise((resolve) => document.addEventListener("securitypolicyviolation", () => resolve(true))),
    );
    await page.evaluate(inject);
    assert.equal(await refused, true);
    assert.equal(await page.evaluate(() => window.struck), undefined);
    await context.close();
  });
}
