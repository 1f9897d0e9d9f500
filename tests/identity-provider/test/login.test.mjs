import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Application, Browser, REDIRECT_URI, startProvider } from "./support.mjs";

let provider;
let app;
before(async () => {
  provider = await startProvider("--client-secret", "open sesame");
  app = new Application(provider, { secret: "open sesame" });
});
after(() => provider.stop());

test("the issuer in the discovery document is the one that was printed", async () => {
  const document = (await app.browser.fetch("/.well-known/openid-configuration")).json();
  assert.equal(document.issuer, provider.issuer);
  assert.match(provider.issuer, /^https:\/\/localhost:\d+$/);
  assert.ok(document.revocation_endpoint && document.end_session_endpoint);
});

test("an admin logs in and the ID token says who it is", async () => {
  const tokens = await app.tokens("admin@example.com");
  const claims = await app.claims(tokens.id_token);
  assert.equal(claims.iss, provider.issuer);
  assert.equal(claims.aud, "mcm-web");
  assert.equal(claims.nonce, app.nonce);
  assert.equal(claims.email, "admin@example.com");
  assert.equal(claims.name, "Ada Admin");
  assert.deepEqual(claims["mcm-idp-groups"], ["admins"]);
  assert.equal(claims.exp - claims.iat, 3600);
});

test("a viewer is in no group", async () => {
  const { id_token: token } = await app.tokens("Viewer@Example.com");
  const claims = await app.claims(token);
  assert.equal(claims.name, "Vic Viewer");
  assert.deepEqual(claims["mcm-idp-groups"], []);
});

test("the way back carries state and issuer", async () => {
  const callback = await app.logIn(new Browser(provider), "admin@example.com");
  assert.equal(callback.origin + callback.pathname, REDIRECT_URI);
  assert.equal(callback.searchParams.get("state"), app.state);
  assert.equal(callback.searchParams.get("iss"), provider.issuer);
});

test("the login page is labelled, has no script and offers both people", async () => {
  const page = await new Browser(provider).follow(app.authorizationUrl());
  assert.equal(page.status, 200);
  assert.match(page.text, /<label for="login">Email<\/label>\s*<input id="login" name="login" type="email"/);
  assert.match(page.text, />Continue<\/button>/);
  assert.match(page.text, /Ada Admin[\s\S]*Vic Viewer/);
  assert.doesNotMatch(page.text, /<script|<style|style=|\son\w+=/);
  assert.match(page.headers["content-security-policy"], /^default-src 'none'; style-src 'self';/);
  assert.equal((await app.browser.fetch("/login/style.css")).headers["content-type"], "text/css; charset=utf-8");
});

test("somebody unknown is told so, without markup coming through, and can try again", async () => {
  const browser = new Browser(provider);
  const page = await browser.follow(app.authorizationUrl());
  const refused = await browser.fetch(page.url, { form: { login: "<b>@example.com" } });
  assert.equal(refused.status, 400);
  assert.match(refused.text, /role="alert"[^>]*>There is nobody called &lt;b&gt;@example\.com here/);
  const { left } = await browser.follow(page.url, { form: { login: "admin@example.com" } });
  assert.ok(left.searchParams.get("code"));
});

test("a cancelled login returns an error to the application", async () => {
  const browser = new Browser(provider);
  const page = await browser.follow(app.authorizationUrl());
  const { left } = await browser.follow(page.url, { form: { login: "", cancel: "yes" } });
  assert.equal(left.searchParams.get("error"), "access_denied");
  assert.equal(left.searchParams.get("code"), null);
});

test("a login page without its cookie has expired", async () => {
  const page = await new Browser(provider).follow(app.authorizationUrl());
  const stranger = await new Browser(provider).fetch(page.url, { form: { login: "admin@example.com" } });
  assert.equal(stranger.status, 400);
  assert.match(stranger.text, /This login has expired/);
});

test("an over-long form is refused", async () => {
  const browser = new Browser(provider);
  const page = await browser.follow(app.authorizationUrl());
  const refused = await browser.fetch(page.url, { form: { login: "a".repeat(5000) } });
  assert.equal(refused.status, 413);
});

test("who is logged in already is not asked again, prompt=consent included", async () => {
  const browser = new Browser(provider);
  await app.logIn(browser, "admin@example.com");
  const again = await browser.follow(app.authorizationUrl({ prompt: "consent" }));
  assert.ok(again.left?.searchParams.get("code"));
});

test("prompt=login asks again and prompt=none never asks", async () => {
  const browser = new Browser(provider);
  const silent = await browser.follow(app.authorizationUrl({ prompt: "none" }));
  assert.equal(silent.left.searchParams.get("error"), "login_required");
  await app.logIn(browser, "admin@example.com");
  const page = await browser.follow(app.authorizationUrl({ prompt: "login" }));
  assert.match(page.text, /<h1>Log in<\/h1>/);
});

test("a request without PKCE is refused", async () => {
  const browser = new Browser(provider);
  const { left } = await browser.follow(
    app.authorizationUrl({ code_challenge: undefined, code_challenge_method: undefined }),
  );
  assert.equal(left.searchParams.get("error"), "invalid_request");
});

test("a code with another verifier is refused", async () => {
  const callback = await app.logIn(new Browser(provider), "admin@example.com");
  const answer = await app.post("/token", {
    grant_type: "authorization_code",
    code: callback.searchParams.get("code"),
    redirect_uri: REDIRECT_URI,
    code_verifier: "x".repeat(43),
  });
  assert.equal(answer.status, 400);
  assert.equal(answer.json().error, "invalid_grant");
});

for (const uri of [
  "https://localhost:1/oidc/callback",
  "https://127.0.0.1:65535/oidc/callback",
  "https://127.4.3.2:1/oidc/callback",
  "https://[::1]:1/oidc/callback",
  "https://mcm.localhost/oidc/callback",
]) {
  test(`the redirect URI ${uri} is allowed`, async () => {
    const left = await app.logIn(new Browser(provider), "admin@example.com", { redirect_uri: uri });
    assert.equal(left.href.split("?")[0], uri);
  });
}

for (const uri of [
  "https://example.com/oidc/callback",
  "https://localhost.example.com/oidc/callback",
  "https://127.0.0.1.example.com/oidc/callback",
  "https://notlocalhost/oidc/callback",
  "http://localhost:1/oidc/callback",
  "https://localhost:1/elsewhere",
  "https://localhost:1/oidc/callback?next=1",
]) {
  test(`the redirect URI ${uri} is refused on a page of the provider`, async () => {
    const page = await new Browser(provider).follow(app.authorizationUrl({ redirect_uri: uri }));
    assert.equal(page.status, 400);
    assert.equal(page.left, undefined);
    assert.match(page.text, /invalid_redirect_uri/);
  });
}
