import assert from "node:assert/strict";
import { test } from "node:test";
import { MANAGEMENT_URL } from "../src/settings.js";
import { list, suite } from "../src/suite.js";

const { visit } = suite();

const KIB = 1024;
const COLD_MAX = 290 * KIB;
const WARM_MAX = 15 * KIB;
const REQUESTS_MAX = 12;
const NODES_MAX = 2500;
const SHIFT_MAX = 0.02;

/** Counts what goes over the wire: headers and bodies as they are sent, and nothing that the cache answers. */
async function meter(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const total = { bytes: 0, requests: 0 };
  session.on("Network.loadingFinished", ({ encodedDataLength }) => {
    total.bytes += encodedDataLength;
    total.requests += encodedDataLength > 0 ? 1 : 0;
  });
  return total;
}

async function settle(page) {
  await list(page);
  await page.evaluate(() => document.fonts.ready);
}

test("[no-external-requests] the list costs few bytes cold, next to none warm, and asks nobody else", async (t) => {
  const visitor = await visit();
  const { page } = visitor;
  const cold = await meter(page);
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await settle(page);
  const first = { ...cold };
  t.diagnostic(`cold: ${first.bytes} bytes in ${first.requests} requests`);
  assert.ok(first.bytes <= COLD_MAX, `${first.bytes} bytes cold, ${COLD_MAX} are allowed`);
  assert.ok(first.requests <= REQUESTS_MAX, `${first.requests} requests cold, ${REQUESTS_MAX} are allowed`);

  await page.reload();
  await settle(page);
  const warm = cold.bytes - first.bytes;
  t.diagnostic(`warm: ${warm} bytes`);
  assert.ok(warm <= WARM_MAX, `${warm} bytes warm, ${WARM_MAX} are allowed`);
  await visitor.leave();
});

test("[first-paint-frame] the frame is there before any answer, and nothing jumps when the answers come", async (t) => {
  const visitor = await visit();
  const { page } = visitor;
  await page.addInitScript(() => {
    window.shift = 0;
    new PerformanceObserver((entries) => {
      for (const entry of entries.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(`${MANAGEMENT_URL}/1.0**`, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await page.getByRole("link", { name: "Clusters", exact: true }).first().waitFor();
  await page.getByRole("heading", { level: 1, name: "Clusters" }).waitFor();
  release();
  await settle(page);
  const shift = await page.evaluate(() => window.shift);
  t.diagnostic(`layout shift: ${shift.toFixed(4)}`);
  assert.ok(shift <= SHIFT_MAX, `the layout shifts by ${shift}`);
  await visitor.leave();
});

/** What the server would answer for so many clusters; everything else is the real server's. */
const manyClusters = (count) =>
  Array.from({ length: count }, (_, at) => ({
    name: `site-${String(at).padStart(4, "0")}`,
    description: `Rack ${at % 17}`,
    state: at % 41 === 0 ? "offline" : "online",
    seen: Math.floor(Date.now() / 1000) - (at % 60),
    members: [3, 0, 0, 0, 0],
    instances: [20, 18, 0, 2, 0],
    memory: [at % 100, 100],
    storage: [at % 90, 100],
    pool: ["local", at % 90],
    load: "1.20",
    tunnel: at % 2 === 0,
    warnings: at % 90 > 80 ? ["pool"] : [],
    thresholds: [80, 80],
    joined: 1_700_000_000 + at,
  }));

test("[5000-rows] 5,000 clusters are listed with few nodes, all can be reached, found and sorted", async (t) => {
  const visitor = await visit();
  const { page } = visitor;
  const metadata = manyClusters(5000).map((row) => Object.values(row));
  await page.route(`${MANAGEMENT_URL}/1.0/fleet/clusters?rows=values`, (route) =>
    route.fulfill({ json: { error: "", metadata } }),
  );
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`);
  await settle(page);
  const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
  const table = page.getByRole("table", { name: "Clusters" });
  assert.equal(await table.getAttribute("aria-rowcount"), "5001");
  t.diagnostic(`DOM nodes: ${await nodes()}`);
  assert.ok((await nodes()) <= NODES_MAX, `${await nodes()} nodes, ${NODES_MAX} are allowed`);

  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await page.getByRole("link", { name: "site-4999", exact: true }).waitFor();
  assert.ok((await nodes()) <= NODES_MAX, "the nodes grow while scrolling");
  await page.evaluate(() => window.scrollTo(0, 0));

  await page.getByRole("button", { name: "Memory", exact: true }).click();
  await page.waitForURL(/sort=-memory/);
  await page.getByRole("link", { name: "site-0099", exact: true }).waitFor();
  await page.getByRole("searchbox").fill("mem>=99 tunnel:no");
  await page.getByText("50 clusters match (of 5,000)").waitFor();
  await page.getByRole("searchbox").fill("");

  await page.goto(`${MANAGEMENT_URL}/ui/overview`);
  await page.getByRole("list", { name: /Health of the clusters by the beginning/ }).waitFor();
  assert.ok((await nodes()) <= NODES_MAX, "the overview has too many nodes");
  await visitor.leave();
});
