import assert from "node:assert/strict";
import { test } from "node:test";
import { newVisitor, openBrowser } from "../src/browser.js";
import { logIn } from "../src/people.js";
import { ADMIN, MANAGEMENT_URL } from "../src/settings.js";

const NAME = `<img src=x onerror="window.struck='name'"><x-evil>name</x-evil>`;

// Each page, what must be there before it counts as shown, and attacks that must be readable on it as the text that they are.
const PAGES = [
  ["/ui/clusters", (page) => page.getByRole("table", { name: "Clusters" }), ["name"]],
  ["/ui/clusters/tokens", (page) => page.getByRole("table").first(), ["token"]],
  ["/ui/cluster/lyon", (page) => page.getByRole("heading", { level: 1 }), ["description"]],
  ["/ui/cluster/lyon/members", (page) => page.getByRole("heading", { level: 1 }), ["member"]],
  ["/ui/cluster/lyon/storage", (page) => page.getByRole("heading", { level: 1 }), ["pool", "host"]],
  ["/ui/cluster/lyon/warnings", (page) => page.getByRole("heading", { level: 1 }), ["pool"]],
  ["/ui/cluster/lyon/history", (page) => page.getByRole("heading", { level: 1 }), []],
  [`/ui/cluster/${encodeURIComponent(NAME)}`, (page) => page.getByRole("heading", { level: 1 }), ["name"]],
  ["/ui/overview", (page) => page.getByRole("heading", { level: 1 }), ["name"]],
  ["/ui/audit", (page) => page.getByRole("table").first(), ["description"]],
  ["/ui/settings", (page) => page.getByRole("heading", { level: 1 }), []],
];

test("[web-07] every value is shown as text on every page", async () => {
  const browser = await openBrowser();
  try {
    const visitor = await newVisitor(browser);
    const { page } = visitor;
    await logIn(page, ADMIN);
    for (const [address, shown, attacks] of PAGES) {
      await page.goto(MANAGEMENT_URL + address);
      await shown(page).waitFor();
      for (const place of attacks) {
        // Whatever is written there: the tag itself is text, in an element or in what describes it.
        await page.waitForFunction((text) => {
          const said = [...document.querySelectorAll("[title], [aria-label]")].flatMap((element) => [
            element.getAttribute("title") ?? "",
            element.getAttribute("aria-label") ?? "",
          ]);
          return [document.body.textContent, ...said].some((each) => each.includes(text));
        }, `<x-evil>${place}</x-evil>`);
      }
      const found = await page.evaluate(() => ({
        struck: window.struck,
        images: document.querySelectorAll('img[src="x"], [onerror]').length,
        elements: document.querySelectorAll("x-evil").length,
        links: [...document.querySelectorAll("a[href]")].map((link) => link.protocol),
      }));
      assert.equal(found.struck, undefined, address);
      assert.equal(found.images, 0, address);
      assert.equal(found.elements, 0, address);
      for (const protocol of found.links) assert.equal(protocol, "https:", address);
    }
    await visitor.leave();
  } finally {
    await browser.close();
  }
});
