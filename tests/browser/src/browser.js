import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { CHROMIUM, MANAGEMENT_URL } from "./settings.js";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Letters as the font has them, not as this machine likes them.
  "--font-render-hinting=none",
  "--disable-lcd-text",
  "--force-color-profile=srgb",
];

/** How long anything in a page may take on a busy machine. */
const PATIENCE_MS = 20_000;

export function openBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: ARGUMENTS,
  });
}

/**
 * A person with a browser of their own. `visitor.wrong` collects what no page may ever do: break the
 * Content-Security-Policy, ask another origin for something, or fail in a script.
 */
export async function newVisitor(
  browser,
  { theme = "light", width = 1440, height = 900, storageState, timezoneId } = {},
) {
  const context = await browser.newContext({
    baseURL: MANAGEMENT_URL,
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: "reduce",
    locale: "en-GB",
    ignoreHTTPSErrors: true,
    storageState,
    timezoneId,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const wrong = [];
  await watchPolicy(context, wrong);
  watchRequests(context, wrong);
  const page = await context.newPage();
  page.on("pageerror", (error) => wrong.push(`script error on ${page.url()}: ${error.message}`));
  return {
    page,
    context,
    wrong,
    /** Ends the visit; fails if a page did something it must not. */
    async leave() {
      await context.close();
      assert.deepEqual(wrong, []);
    },
  };
}

async function watchPolicy(context, wrong) {
  await context.exposeBinding("reportViolation", ({ page }, text) => {
    if (isOurs(page.url())) wrong.push(`the policy was violated on ${page.url()}: ${text}`);
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.violatedDirective} by ${event.blockedURI || event.sourceFile} ${event.sample}`);
    });
  });
}

function watchRequests(context, wrong) {
  context.on("request", (request) => {
    // A navigation to the identity provider is how people log in; everything else stays with us.
    if (request.isNavigationRequest() || isOurs(request.url()) || /^(data|blob):/.test(request.url())) return;
    if (isOurs(request.frame().url())) wrong.push(`${request.frame().url()} asked for ${request.url()}`);
  });
}

export function isOurs(address) {
  return address.startsWith(`${MANAGEMENT_URL}/`);
}
