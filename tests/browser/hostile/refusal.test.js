import assert from "node:assert/strict";
import { test } from "node:test";
import { isOurs, newVisitor, openBrowser } from "../src/browser.js";
import { MANAGEMENT_URL } from "../src/settings.js";

const ATTACK = `"><script>window.struck=1</script><img src=x onerror="window.struck=2">\r\nX-Struck: 1\r\nSet-Cookie: struck=1`;

/** What stands in the provider's place in the address of a login's end. */
const TEXTS = [
  { error: ATTACK, error_description: ATTACK, error_uri: "javascript:window.struck=3" },
  { error: "access_denied", error_description: `${ATTACK}${"x".repeat(3000)}` },
];

test("[oidc-14] an error of the identity provider is neither a page nor a script nor a header", async () => {
  const browser = await openBrowser();
  try {
    const visitor = await newVisitor(browser);
    const { page, context } = visitor;
    const headers = [];
    page.on("response", async (response) => {
      if (isOurs(response.url())) headers.push(JSON.stringify(await response.headersArray()));
    });
    for (const text of TEXTS) {
      const atProvider = page.waitForRequest((request) => request.isNavigationRequest() && !isOurs(request.url()));
      await page.goto(`${MANAGEMENT_URL}/oidc/login`);
      const state = new URL((await atProvider).url()).searchParams.get("state");
      await page.goto(`${MANAGEMENT_URL}/oidc/callback?${new URLSearchParams({ state, ...text })}`);
      assert.equal(page.url(), `${MANAGEMENT_URL}/ui/login/?error=refused`);
      await page.getByText("The identity provider did not let you in.").waitFor();
      await clean(page);
    }
    // Somebody makes such an address by hand.
    await page.goto(`${MANAGEMENT_URL}/ui/login/?${new URLSearchParams({ error: ATTACK, error_description: ATTACK })}`);
    await page.getByRole("link", { name: "Login" }).waitFor();
    await clean(page);
    assert.ok(headers.length > 0 && headers.every((each) => !each.toLowerCase().includes("struck")), `${headers}`);
    assert.ok((await context.cookies()).every(({ name }) => name !== "struck"));
    await visitor.leave();
  } finally {
    await browser.close();
  }
});

async function clean(page) {
  const found = await page.evaluate(() => [
    window.struck ?? null,
    document.querySelectorAll('img[src="x"], [onerror]').length,
    document.documentElement.outerHTML.includes("struck"),
  ]);
  assert.deepEqual(found, [null, 0, false]);
}
