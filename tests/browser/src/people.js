import { MANAGEMENT_URL } from "./settings.js";

/** Logs in through the identity provider, from the page at `path`, and waits to be back on it. */
export async function logIn(page, email, path = "/ui/clusters") {
  await page.goto(MANAGEMENT_URL + path);
  await page.getByRole("link", { name: "Login" }).click();
  await page.getByLabel("Email").fill(email);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await page.waitForURL(MANAGEMENT_URL + path);
}

/** Logs in once and gives the cookies, for visitors that only look. */
export async function sessionOf(browser, email) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await logIn(page, email);
  await page.getByRole("heading", { level: 1 }).waitFor();
  const state = await context.storageState();
  await context.close();
  return state;
}
