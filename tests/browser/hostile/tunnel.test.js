import assert from "node:assert/strict";
import { test } from "node:test";
import { newVisitor, openBrowser } from "../src/browser.js";
import { otherSite } from "../src/other-site.js";
import { logIn } from "../src/people.js";
import { ADMIN, MANAGEMENT_URL } from "../src/settings.js";

const TUNNEL = `${MANAGEMENT_URL}/1.0/remote-cluster/lyon/tunnel/1.0`;

test("[tun-06] what a hostile cluster answers neither runs, nor is framed, nor sets a cookie", async () => {
  const browser = await openBrowser();
  try {
    const { page, context } = await newVisitor(browser);
    await logIn(page, ADMIN);
    const ours = async () =>
      (await context.cookies(MANAGEMENT_URL)).map(({ name, value }) => `${name}=${value}`).sort();
    const before = await ours();
    assert.ok(
      before.some((cookie) => cookie.startsWith("__Host-mcm-session=")),
      `${before}`,
    );

    // A script of our own pages gets data, of a kind that no browser shows.
    const answer = await page.evaluate(async (address) => {
      const response = await fetch(address);
      return [response.status, response.headers.get("content-type"), (await response.text()).length > 0];
    }, TUNNEL);
    assert.deepEqual(answer, [200, "application/octet-stream", true]);

    // Somebody follows a link to it.
    const opened = await page.goto(TUNNEL);
    assert.equal(opened.status(), 403);
    assert.equal(await page.evaluate(() => window.struck), undefined);

    // It is put into a page of ours as whatever a page may consist of.
    await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
    await page.getByRole("table", { name: "Clusters" }).waitFor();
    const loaded = await page.evaluate(async (address) => {
      const kinds = { iframe: "src", script: "src", img: "src", embed: "src", object: "data" };
      const results = [];
      for (const [kind, attribute] of Object.entries(kinds)) {
        const element = document.createElement(kind);
        const result = new Promise((resolve) => {
          element.addEventListener("error", () => resolve([kind, "refused"]));
          element.addEventListener("load", () => resolve([kind, "loaded"]));
          document.addEventListener("securitypolicyviolation", () => resolve([kind, "refused"]), { once: true });
        });
        element.setAttribute(attribute, address);
        document.body.append(element);
        results.push(await result);
      }
      return [results, window.struck ?? null];
    }, TUNNEL);
    assert.deepEqual(loaded, [["iframe", "script", "img", "embed", "object"].map((kind) => [kind, "refused"]), null]);

    // Another site does the same.
    const [asked, answers] = [[], []];
    page.on("request", (request) => {
      if (request.url() === TUNNEL) asked.push(request.resourceType());
    });
    page.on("response", (response) => {
      if (response.url() === TUNNEL) answers.push(response.status());
    });
    const body = `<iframe src="${TUNNEL}"></iframe><img src="${TUNNEL}"><script src="${TUNNEL}"></script>`;
    const evil = await otherSite(body);
    await page.goto(evil.url, { waitUntil: "load" });
    evil.close();
    assert.deepEqual(asked.sort(), ["document", "image", "script"]);
    assert.ok(answers.length > 0);
    for (const status of answers) assert.ok([401, 403].includes(status), `${status}`);
    assert.equal(await page.evaluate(() => window.struck), undefined);

    assert.deepEqual(await ours(), before, "no cookie was set, changed or deleted");
    await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
    await page.getByRole("table", { name: "Clusters" }).waitFor();
  } finally {
    await browser.close();
  }
});
