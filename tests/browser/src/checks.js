import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { newVisitor } from "./browser.js";
import { ARTEFACTS, MANAGEMENT_URL } from "./settings.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails with the rule and the elements if the page breaks an accessibility rule as it stands. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async (rules) => {
    const { violations } = await window.axe.run(document, { runOnly: rules });
    return violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.target).join(", ")}`);
  }, RULES);
  assert.deepEqual(violations, [], `accessibility of ${what}`);
}

/** Fails if the page can be scrolled sideways, and names what sticks out. */
export async function assertNoOverflow(page, what) {
  const sticksOut = await page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter(
      (element) => element.getBoundingClientRect().right > clientWidth + 1,
    );
    return [
      `${scrollWidth} px of ${clientWidth} px`,
      ...wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120)),
    ];
  });
  assert.deepEqual(sticksOut, [], `width of ${what}`);
}

/** Keeps a picture of the page as it stands. */
export async function picture(page, name) {
  mkdirSync(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
}

/**
 * Opens each screen as a visitor of its own, checks it and keeps a picture. A screen is its name, its address, and how to
 * get there from the address.
 */
export async function lookAt(t, browser, visit, screens) {
  for (const [name, address, prepare] of screens) {
    await t.test(name, async () => {
      const visitor = await newVisitor(browser, { ...visit, height: visit.width === 400 ? 860 : 900 });
      const { page } = visitor;
      await page.goto(MANAGEMENT_URL + address);
      await prepare(page);
      await assertAccessible(page, name);
      await assertNoOverflow(page, name);
      await picture(page, `${name}-${visit.theme}-${visit.width}`);
      await visitor.leave();
    });
  }
}

/** Waits until `read` returns `expected`; fails with the last value if it does not within ten seconds. */
export async function eventually(read, expected) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const seen = await read();
    if (isDeepStrictEqual(seen, expected)) return;
    if (Date.now() > deadline) assert.deepEqual(seen, expected);
    await setTimeout(20);
  }
}

/** Ticks a box or a radio button whose state may follow a moment after the click. */
export async function choose(page, role, name) {
  await page.getByRole(role, { name }).click({ force: true });
  await page.getByRole(role, { name, checked: true }).waitFor();
}
