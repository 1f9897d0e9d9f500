import { after, before, test } from "node:test";
import { openBrowser } from "../../src/browser.js";
import { lookAt } from "../../src/checks.js";
import { sessionOf } from "../../src/people.js";
import { ADMIN } from "../../src/settings.js";

let browser;
let storageState;
before(async () => {
  browser = await openBrowser();
  storageState = await sessionOf(browser, ADMIN);
});
after(() => browser.close());

const SCREENS = [
  ["audit", "/ui/audit", (page) => page.getByRole("table", { name: "Audit records" }).waitFor()],
  ["sessions", "/ui/settings", (page) => page.getByText("This browser").first().waitFor()],
  ["events", "/ui/overview", (page) => page.getByRole("heading", { name: "Recent events" }).waitFor()],
];

for (const theme of ["light", "dark"]) {
  for (const width of [1440, 400]) {
    test(`audit records and sessions are accessible and fit, ${theme}, ${width} px`, (t) =>
      lookAt(t, browser, { theme, width, storageState }, SCREENS));
  }
}
