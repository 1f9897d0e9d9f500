// What a change says when it fails, field by field and status by status, and what a slow network does to a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertPresentable, choose } from "../src/checks.js";
import { MANAGEMENT_URL } from "../src/settings.js";
import { clusterLinks, list, suite } from "../src/suite.js";

const { visitPage, openList } = suite();

const failure = (status, error, headers = {}) => ({
  status,
  headers,
  json: {
    type: "error",
    status: "",
    status_code: 0,
    operation: "",
    error_code: status,
    error,
    metadata: null,
  },
});

/** An answer, or nothing at all, and what people are told to do about it. */
const FAILURES = [
  [403, "your role may not do this", {}, /Your role may not do this/],
  [404, "cluster not found", {}, /Cluster not found/],
  [409, "the cluster was changed meanwhile", {}, /Reload the page to see what is there now/],
  [413, "the request body must have at most 262144 bytes", {}, /Send less at once/],
  [429, "too many requests, try again later", { "Retry-After": "7" }, /Wait 7 s, then try again/],
  [500, "internal error", {}, /It may have been done all the same.*tell your administrator/],
  [502, "", {}, /It may have been done all the same.*behind its proxy/],
  [503, "the database is not available, try again later", {}, /database is not available, try again later/],
  [504, "", {}, /It may have been done all the same.*busy or out of reach/],
  [0, "", {}, /cannot be reached.*It may have been done all the same.*Check the network/],
];

test("whatever fails, a change says what happened and what to do, is sent once and keeps what was typed", async () => {
  const visitor = await openList();
  const { page } = visitor;
  let answer;
  const sent = [];
  await page.route(/\/1\.0\/remote-cluster\/[^/?]+$/, (route) => {
    const method = route.request().method();
    if (method === "GET") return route.continue();
    sent.push(method);
    return answer.status === 0 ? route.abort() : route.fulfill(answer);
  });
  await clusterLinks(page).first().click();
  await page.getByRole("button", { name: "Configure", exact: true }).click();
  const threshold = page.getByLabel("Memory threshold percentage");
  const wanted = (await threshold.inputValue()) === "71" ? "72" : "71";
  await threshold.fill(wanted);
  for (const [status, error, headers, advice] of FAILURES) {
    answer = failure(status, error, headers);
    sent.length = 0;
    await page.getByRole("button", { name: "Save changes" }).click();
    const problem = page.getByRole("alert").filter({ hasText: "The changes were not saved" });
    await problem.filter({ hasText: advice }).waitFor();
    assert.deepEqual(sent, ["PATCH"], `requests for status ${status}`);
    assert.equal(await threshold.inputValue(), wanted, `what was typed, after status ${status}`);
  }
  await assertPresentable(page, "change-failed");
  await visitor.leave();
});

/** What each field takes. */
const GOOD = {
  "Cluster name": "fine",
  Description: "Fine, too",
  "Date and time": "2099-12-31T12:00",
  "Disk threshold percentage": "80",
  "Memory threshold percentage": "1",
  "Address of the LXD UI": "https://lxd.example",
};

/** Addresses with the fields on them: label, what is typed, and what is said while it is typed. */
const FIELDS = [
  [
    "/ui/clusters?panel=enroll-cluster",
    [
      ["Cluster name", "two words", "A space is not allowed"],
      ["Cluster name", "x".repeat(64), "63"],
      ["Cluster name", "-x", "must start with"],
      ["Description", "x".repeat(513), "512 are allowed"],
      ["Date and time", "2020-01-01T00:00", "must be in the future"],
    ],
  ],
  [
    "configure",
    [
      ["Disk threshold percentage", "0", "whole number from 1 to 100"],
      ["Disk threshold percentage", "", "Enter a percentage"],
      ["Memory threshold percentage", "101", "whole number from 1 to 100"],
      ["Description", "x".repeat(513), "512 are allowed"],
      ["Address of the LXD UI", "javascript:alert(1)", "begins with https://"],
    ],
  ],
];

test("each field says its rules while it is typed, and is well again when they are kept", async () => {
  for (const [address, fields] of FIELDS) {
    const visitor = await visitPage(address.startsWith("/") ? address : "/ui/clusters");
    const { page } = visitor;
    if (address === "configure") {
      await list(page);
      await clusterLinks(page).first().click();
      await page.getByRole("button", { name: "Configure", exact: true }).click();
    } else {
      await page.getByPlaceholder("Enter Name").waitFor();
      await choose(page, "radio", "Custom");
    }
    for (const [label, text, problem] of fields) {
      const field = page.getByLabel(label, { exact: true });
      await field.fill(text);
      const alert = page.getByRole("alert").filter({ hasText: problem });
      await alert.waitFor();
      assert.equal(await field.getAttribute("aria-invalid"), "true", label);
      await field.fill(GOOD[label]);
      await alert.waitFor({ state: "detached" });
      assert.equal(await field.getAttribute("aria-invalid"), "false", label);
    }
    await visitor.leave();
  }
});

test("on a slow network the frame comes first, the rest in its place, and nothing is taken for a failure", async (t) => {
  const visitor = await visitPage("/ui/no-such-page");
  const { page, context } = visitor;
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  // 1.6 Mbit/s and 150 ms, as over a busy mobile network.
  const throughput = (1.6 * 1024 * 1024) / 8;
  const slow = {
    offline: false,
    latency: 150,
    downloadThroughput: throughput,
    uploadThroughput: throughput,
  };
  await session.send("Network.emulateNetworkConditions", slow);
  await page.addInitScript(() => {
    window.shift = 0;
    window.alerts = 0;
    new PerformanceObserver((entries) => {
      for (const entry of entries.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    new MutationObserver(() => (window.alerts += document.querySelectorAll("[role=alert]").length)).observe(document, {
      childList: true,
      subtree: true,
    });
  });
  const began = Date.now();
  await page.goto(`${MANAGEMENT_URL}/ui/clusters`, { waitUntil: "commit" });
  await page.getByRole("heading", { level: 1, name: "Clusters" }).waitFor();
  const frame = Date.now() - began;
  // Whoever types before the list is there loses nothing.
  await page.getByRole("searchbox").fill("mem>0");
  await list(page);
  await page.getByText(/clusters? match/).waitFor();
  t.diagnostic(`frame after ${frame} ms, list after ${Date.now() - began} ms`);
  assert.equal(await page.getByRole("searchbox").inputValue(), "mem>0");
  const { shift, alerts } = await page.evaluate(() => ({
    shift: window.shift,
    alerts: window.alerts,
  }));
  assert.ok(shift <= 0.02, `the layout shifts by ${shift}`);
  assert.equal(alerts, 0, "slowness was shown as a failure");
  for (const [address, ready] of [
    ["/ui/overview", page.getByRole("heading", { name: "Fullest memory" })],
    ["/ui/settings", page.getByRole("row", { name: /API Version/ })],
  ]) {
    await page.goto(MANAGEMENT_URL + address, { waitUntil: "commit" });
    await ready.waitFor();
    assert.equal(await page.evaluate(() => window.alerts), 0, address);
  }
  await visitor.leave();
});
