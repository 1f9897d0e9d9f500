import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { ARTEFACTS } from "./settings.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails with the rule and the elements if the page breaks an accessibility rule as it stands. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const violations = await unscrolled(page, () =>
    page.evaluate(async (rules) => {
      const { violations } = await window.axe.run(document, { runOnly: rules });
      return violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.target).join(", ")}`);
    }, RULES),
  );
  assert.deepEqual(violations, [], `accessibility of ${what}`);
}

/** Looks at all of the page in a window that is high enough: a button half below a bar at the edge is not a small button. */
async function unscrolled(page, look) {
  const { width, height } = page.viewportSize();
  const [all, scrolled] = await page.evaluate(() => [document.documentElement.scrollHeight, window.scrollY]);
  if (all <= height) return look();
  await page.setViewportSize({ width, height: all });
  const found = await look();
  await page.setViewportSize({ width, height });
  await page.evaluate((y) => window.scrollTo(0, y), scrolled);
  return found;
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

/** Shows the page in the light or the dark theme, as a system does that changes from one to the other. */
export async function showTheme(page, theme) {
  await page.emulateMedia({ colorScheme: theme });
  await page.waitForFunction(
    (dark) => document.documentElement.classList.contains("is-dark") === dark,
    theme === "dark",
  );
}

/** What has to hold for whatever a page shows, in both themes; keeps a picture of each. */
export async function assertPresentable(page, name) {
  const { width } = page.viewportSize();
  await page.evaluate(() => document.fonts.ready);
  for (const theme of ["light", "dark"]) {
    await showTheme(page, theme);
    await assertAccessible(page, `${name}, ${theme}, ${width} px`);
    await assertNoOverflow(page, `${name}, ${theme}, ${width} px`);
    await picture(page, `${name}-${theme}-${width}`);
  }
}

const TITLES = {
  1440: "[axe-pages]",
  400: "[axe-pages] [no-overflow-400]",
  320: "[axe-pages] [no-overflow-320]",
};
const HEIGHTS = { 1440: 900, 400: 860, 320: 640 };

/**
 * Looks at each screen on a desk, on a phone and on the narrowest window, in both themes. A screen is its name, its address
 * and how to get there from the address; `visitPage` opens an address for a visitor of its own.
 */
export function lookAt(what, visitPage, screens) {
  for (const [width, title] of Object.entries(TITLES)) {
    test(`${title} ${what}: accessible and nothing too wide, ${width} px`, async (t) => {
      for (const [name, address, prepare] of screens) {
        await t.test(name, async () => {
          const visitor = await visitPage(address, {
            width: Number(width),
            height: HEIGHTS[width],
          });
          await prepare(visitor.page);
          await assertPresentable(visitor.page, name);
          await visitor.leave();
        });
      }
    });
  }
}

/** Ticks a box or a radio button whose state may follow a moment after the click. */
export async function choose(page, role, name) {
  await page.getByRole(role, { name }).click({ force: true });
  await page.getByRole(role, { name, checked: true }).waitFor();
}
