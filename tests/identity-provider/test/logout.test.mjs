import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Application, startProvider } from "./support.mjs";

let provider;
let app;
before(async () => {
  provider = await startProvider();
  app = new Application(provider);
});
after(() => provider.stop());

function logoutUrl(parameters) {
  const url = new URL("/session/end", provider.issuer);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}

test("a logout with the ID token returns at once and the next login asks again", async () => {
  const { browser, id_token: hint } = await app.tokens("admin@example.com");
  const { left } = await browser.follow(
    logoutUrl({ id_token_hint: hint, post_logout_redirect_uri: "https://localhost:4711/ui/login/", state: "over" }),
  );
  assert.equal(left.href, "https://localhost:4711/ui/login/?state=over");
  assert.match((await browser.follow(app.authorizationUrl())).text, /<h1>Log in<\/h1>/);
});

test("a refresh token outlives the logout: it is the application that revokes it", async () => {
  const { browser, id_token: hint, refresh_token: token } = await app.tokens("admin@example.com");
  await browser.follow(logoutUrl({ id_token_hint: hint }));
  assert.equal((await app.refresh(token)).status, 200);
});

test("a logout without the ID token asks first", async () => {
  const { browser } = await app.tokens("admin@example.com");
  const page = await browser.follow(logoutUrl({ client_id: "mcm-web" }));
  assert.match(page.text, /<button type="submit" form="op.logoutForm" name="logout" value="yes">Log out<\/button>/);
  assert.ok((await browser.follow(app.authorizationUrl())).left, "still logged in");

  const [, xsrf] = /name="xsrf" value="([^"]+)"/.exec((await browser.follow(logoutUrl({ client_id: "mcm-web" }))).text);
  const done = await browser.follow("/session/end/confirm", { form: { xsrf, logout: "yes" } });
  assert.match(done.text, /You are logged out/);
  assert.match((await browser.follow(app.authorizationUrl())).text, /<h1>Log in<\/h1>/);
});

test("another person's ID token does not end this session", async () => {
  const { browser } = await app.tokens("admin@example.com");
  const { id_token: foreign } = await app.tokens("viewer@example.com");
  const page = await browser.follow(logoutUrl({ id_token_hint: foreign }));
  assert.match(page.text, /Log out of the identity provider\?/);
});

for (const uri of ["https://example.com/ui/login/", "https://localhost:1/elsewhere/"]) {
  test(`a logout never leads to ${uri}`, async () => {
    const { browser, id_token: hint } = await app.tokens("admin@example.com");
    const page = await browser.follow(logoutUrl({ id_token_hint: hint, post_logout_redirect_uri: uri }));
    assert.equal(page.left, undefined);
    assert.equal(page.status, 400);
    assert.match(page.text, /post_logout_redirect_uri not registered/);
  });
}
