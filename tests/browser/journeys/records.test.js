import { lookAt } from "../src/checks.js";
import { suite } from "../src/suite.js";

const { visitPage } = suite();

const SCREENS = [
  ["audit", "/ui/audit", (page) => page.getByRole("table", { name: "Audit records" }).waitFor()],
  [
    "sessions",
    "/ui/settings",
    async (page) => {
      await page.getByRole("row", { name: /API Version/ }).waitFor();
      await page.getByText("This browser").first().waitFor();
      await page.getByRole("heading", { name: "Your sessions" }).scrollIntoViewIfNeeded();
    },
  ],
  ["events", "/ui/overview", (page) => page.getByRole("heading", { name: "Recent events" }).waitFor()],
];

lookAt("audit records, sessions and events", visitPage, SCREENS);
