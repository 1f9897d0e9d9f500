import { choose, lookAt } from "../src/checks.js";
import { clusterLinks, list, suite } from "../src/suite.js";

const { visitPage } = suite();

const wide = (page) => page.viewportSize().width > 619;

const tool = (name) => async (page) => {
  await list(page);
  await page.getByRole("button", { name, exact: true }).click();
  await page.getByRole("group", { name, exact: true }).first().waitFor();
};

const tab = (name, ready) => async (page) => {
  await list(page);
  await clusterLinks(page).first().click();
  await page.getByTestId(`tab-link-${name}`).click();
  await ready(page);
};

async function key(page, press, role) {
  await list(page);
  await page.keyboard.press(press);
  await page.getByRole(role).first().waitFor();
}

async function selectAll(page) {
  await list(page);
  // Phones have no boxes.
  if (!wide(page)) return;
  await choose(page, "checkbox", "Select all");
  await page.getByText(/^All .* clusters selected\.$/).waitFor();
}

const SCREENS = [
  [
    "overview",
    "/ui/overview",
    async (page) => {
      await page.getByRole("heading", { name: "Fullest memory" }).waitFor();
      await page.getByRole("figure", { name: "Instances" }).waitFor();
    },
  ],
  ["kiosk", "/ui/overview?kiosk=1", (page) => page.getByRole("heading", { name: "Fullest memory" }).waitFor()],
  ["cluster-members", "/ui/clusters", tab("Members", (page) => page.getByRole("img", { name: /members?:/ }).waitFor())],
  ["cluster-storage", "/ui/clusters", tab("Storage", (page) => page.getByRole("table").waitFor())],
  ["cluster-warnings", "/ui/clusters", tab("Warnings", (page) => page.locator(".warning-page").waitFor())],
  [
    "cluster-history",
    "/ui/clusters",
    tab("History", (page) => page.getByRole("figure", { name: "Members", exact: true }).waitFor()),
  ],
  [
    "cluster-history-table",
    "/ui/clusters",
    tab("History", async (page) => {
      // The charts take the place of the lines that stand for them: nothing moves under the click any more.
      await page.getByRole("figure", { name: "Members", exact: true }).waitFor();
      await choose(page, "radio", "1 h");
      await page.getByText("Table of values").first().click();
      await page.getByRole("table", { name: "Memory" }).waitFor();
    }),
  ],
  [
    "pool-details",
    "/ui/clusters",
    async (page) => {
      await list(page);
      await clusterLinks(page).first().click();
      await page.getByRole("button", { name: "View details" }).click();
      await page.getByRole("dialog", { name: "Storage pool details" }).waitFor();
    },
  ],
  [
    "configure",
    "/ui/clusters",
    async (page) => {
      await list(page);
      await clusterLinks(page).first().click();
      await page.getByRole("button", { name: "Configure", exact: true }).click();
      await page.getByLabel("Disk threshold percentage").fill("101");
      await page.getByRole("alert").waitFor();
    },
  ],
  ["selected", "/ui/clusters", selectAll],
  [
    "bulk-configure",
    "/ui/clusters",
    async (page) => {
      await selectAll(page);
      if (!wide(page)) return;
      await page.getByRole("button", { name: "Configure clusters" }).click();
      await page.getByTitle("Set Disk threshold percentage").click();
      await page.getByLabel("Disk threshold percentage").waitFor();
    },
  ],
  ["filters", "/ui/clusters?query=colour%3Ared", tool("Filters")],
  ["columns", "/ui/clusters", tool("Columns")],
  ["views", "/ui/clusters", tool("Saved views")],
  [
    "all-columns",
    "/ui/clusters?columns=name,description,status,members,instances,load,memory,trend,disk,storage,tunnel,joined,heartbeat,warnings",
    list,
  ],
  ["quick-open", "/ui/clusters", (page) => key(page, "Control+k", "option")],
  ["shortcuts", "/ui/clusters", (page) => key(page, "?", "dialog")],
];

lookAt("pages, panels and menus", visitPage, SCREENS);
