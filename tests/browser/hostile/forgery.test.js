import assert from "node:assert/strict";
import { test } from "node:test";
import { newVisitor, openBrowser } from "../src/browser.js";
import { otherSite } from "../src/other-site.js";
import { logIn } from "../src/people.js";
import { ADMIN, MANAGEMENT_URL } from "../src/settings.js";

const TOKENS = `${MANAGEMENT_URL}/1.0/remote-cluster-join-token`;
const LYON = `${MANAGEMENT_URL}/1.0/remote-cluster/lyon`;

/** Forms, which a browser sends to any site without asking. */
const FORMS = [
  ["POST", TOKENS, "text/plain", '{"cluster_name": "forged", "x": "', '"}'],
  ["POST", TOKENS, "application/x-www-form-urlencoded", "cluster_name", "forged"],
  ["POST", `${LYON}?_method=DELETE`, "application/x-www-form-urlencoded", "_method", "DELETE"],
  ["POST", `${MANAGEMENT_URL}/oidc/logout`, "application/x-www-form-urlencoded", "a", "b"],
  ["GET", `${MANAGEMENT_URL}/oidc/logout`, "application/x-www-form-urlencoded", "a", "b"],
];

/** What a script of the other site tries; the answer is what it could read. */
async function tryEverything([tokens, lyon, logout]) {
  const json = { "content-type": "application/json" };
  const calls = [
    [tokens, { method: "POST", headers: json, body: '{"cluster_name": "forged"}' }],
    [tokens, { method: "POST", mode: "no-cors", body: '{"cluster_name": "forged"}' }],
    [lyon, { method: "PATCH", headers: json, body: '{"description": "forged"}' }],
    [lyon, { method: "DELETE" }],
    [lyon, { method: "POST", mode: "no-cors", headers: { "x-http-method-override": "DELETE" } }],
    [lyon, { mode: "no-cors" }],
    [lyon, {}],
    [logout, { mode: "no-cors" }],
    [logout, { method: "POST", mode: "no-cors" }],
  ];
  const read = [];
  for (const [address, options] of calls) {
    const text = fetch(address, { credentials: "include", ...options }).then((response) => response.text());
    read.push(await text.catch(() => ""));
  }
  return read;
}

test("[web-02] forms and scripts of another site, of a null origin and in frames get nowhere", async () => {
  const browser = await openBrowser();
  const evil = await otherSite("<!doctype html><title>evil</title><body></body>");
  try {
    const { page } = await newVisitor(browser);
    await logIn(page, ADMIN);
    const sent = [];
    page.on("request", (request) => {
      if (request.url().startsWith(MANAGEMENT_URL)) sent.push(request.method());
    });
    for (const [method, address, type, name, value] of FORMS) {
      await page.goto(evil.url);
      const answered = page.waitForResponse((response) => response.url().startsWith(address.split("?")[0]));
      await page.evaluate(
        ([method, address, type, name, value]) => {
          const form = Object.assign(document.createElement("form"), { method, action: address, enctype: type });
          form.append(Object.assign(document.createElement("input"), { name, value }));
          document.body.append(form);
          form.submit();
        },
        [method, address, type, name, value],
      );
      const status = (await answered).status();
      await page.waitForURL((url) => url.origin === MANAGEMENT_URL);
      assert.ok([401, 403, 405, 415].includes(status), `${method} ${address}: ${status}`);
    }
    sent.length = 0;
    const targets = [TOKENS, LYON, `${MANAGEMENT_URL}/oidc/logout`];
    await page.goto(evil.url);
    for (const text of await page.evaluate(tryEverything, targets)) assert.equal(text, "");

    // A frame without an origin of its own.
    const source = `<!doctype html><script>
      const done = (${tryEverything})(${JSON.stringify(targets)});
      done.then((read) => parent.postMessage(read, "*"), (error) => parent.postMessage([String(error)], "*"));
    </script>`;
    const read = await page.evaluate(
      (source) =>
        new Promise((resolve) => {
          addEventListener("message", ({ data }) => resolve(data));
          const frame = document.createElement("iframe");
          frame.sandbox = "allow-scripts";
          frame.srcdoc = source;
          document.body.append(frame);
        }),
      source,
    );
    assert.equal(read.length, 9);
    assert.ok(sent.filter((method) => method !== "OPTIONS").length >= 10, `what went out: ${sent}`);
    for (const text of read) assert.equal(text, "");

    // Still logged in.
    await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
    await page
      .getByRole("table", { name: "Clusters" })
      .waitFor()
      .catch(async (error) => assert.fail(`${error}\n${page.url()}\n${await page.locator("body").innerText()}`));
  } finally {
    evil.close();
    await browser.close();
  }
});
