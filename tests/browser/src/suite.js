import { after, before } from "node:test";
import { newVisitor, openBrowser } from "./browser.js";
import { sessionOf } from "./people.js";
import { ADMIN, MANAGEMENT_URL } from "./settings.js";

/** What every journey's file begins with: a browser for all of its tests, and an administrator who is logged in. */
export function suite() {
  let browser;
  let storageState;
  before(async () => {
    browser = await openBrowser();
    storageState = await sessionOf(browser, ADMIN);
  });
  after(() => browser.close());

  /** A visitor with the administrator's session, or as the options say. */
  const visit = (options = {}) => newVisitor(browser, { storageState, ...options });
  /** A visitor who stands on a page below our address. */
  const visitPage = async (address, options) => {
    const visitor = await visit(options);
    await visitor.page.goto(MANAGEMENT_URL + address);
    return visitor;
  };
  /** A visitor who sees the list of clusters. */
  const openList = async (address = "/ui/clusters", options) => {
    const visitor = await visitPage(address, options);
    await list(visitor.page);
    return visitor;
  };
  return {
    visit,
    visitPage,
    openList,
    stranger: (options) => newVisitor(browser, options),
  };
}

/** Waits for the list of clusters. */
export const list = (page) => page.getByRole("table", { name: "Clusters" }).waitFor();

/** The links in the list, one for each cluster that is drawn. */
export const clusterLinks = (page) => page.locator(".clusterlist-table tbody .col-name a");

/** Waits until the list shows these clusters in this order: the address changes before the list does. */
export const listShows = (page, names) =>
  page.waitForFunction((wanted) => {
    const links = [...document.querySelectorAll(".clusterlist-table tbody .col-name a")];
    return JSON.stringify(links.map((link) => link.textContent)) === wanted;
  }, JSON.stringify(names));
