import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

import { startProvider } from "./support.mjs";

const SERVER = new URL("../server.mjs", import.meta.url).pathname;

function run(...args) {
  return spawnSync(process.execPath, [SERVER, ...args], { encoding: "utf8" });
}

test("it prints one line and ends when standard input is closed", async () => {
  const provider = await startProvider();
  assert.equal(await provider.stop(), 0);
  assert.deepEqual(provider.output, [JSON.stringify({ issuer: provider.issuer })]);
});

test("SIGTERM ends it", async () => {
  const provider = await startProvider("--issuer-host", "127.0.0.1");
  assert.match(provider.issuer, /^https:\/\/127\.0\.0\.1:/);
  provider.child.kill("SIGTERM");
  assert.equal(await provider.stop(), 0);
});

test("a taken port is named", async () => {
  const provider = await startProvider();
  const { port } = new URL(provider.issuer);
  await assert.rejects(startProvider("--port", port), /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
  await provider.stop();
});

for (const [args, expected] of [
  [[], "--cert is needed: a PEM file"],
  [["--port", "70000"], '--port must be a whole number from 0 to 65535, not "70000"'],
  [["--surprise"], "Unknown option '--surprise' (--help lists the options)"],
  [["--users", "/dev/null"], "cannot read the users from /dev/null: Unexpected end of JSON input"],
]) {
  test(`${args.join(" ") || "no option"} is refused in one line`, () => {
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.equal(stderr, `identity provider: ${expected}\n`);
  });
}

test("--help lists the options", () => {
  const { status, stdout } = run("--help");
  assert.equal(status, 0);
  assert.match(stdout, /--ttl-id-token SECONDS/);
});
