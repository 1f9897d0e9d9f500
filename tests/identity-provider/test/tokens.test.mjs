import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Application, startProvider } from "./support.mjs";

let provider;
let app;
before(async () => {
  provider = await startProvider("--rotate-refresh-tokens", "--ttl-id-token", "7", "--ttl-access-token", "9");
  app = new Application(provider);
});
after(() => provider.stop());

test("a refresh gives a new ID token with the groups of that moment", async () => {
  provider.setUsers([{ email: "ops@example.com", name: "Ora Ops", groups: ["operators"] }]);
  const first = await app.tokens("ops@example.com");
  assert.deepEqual((await app.claims(first.id_token))["mcm-idp-groups"], ["operators"]);

  provider.setUsers([{ email: "ops@example.com", name: "Ora Ops", groups: ["operators", "admins"] }]);
  const second = (await app.refresh(first.refresh_token)).json();
  const claims = await app.claims(second.id_token);
  assert.deepEqual(claims["mcm-idp-groups"], ["operators", "admins"]);
  assert.equal(claims.sub, "ops@example.com");
});

test("a refresh fails for a person who is gone", async () => {
  provider.setUsers([{ email: "temp@example.com" }]);
  const { refresh_token: token } = await app.tokens("temp@example.com");
  provider.setUsers([]);
  assert.equal((await app.refresh(token)).json().error, "invalid_grant");
});

test("a rotated refresh token serves once, and its second use ends the whole grant", async () => {
  const first = await app.tokens("admin@example.com");
  const second = (await app.refresh(first.refresh_token)).json();
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal((await app.refresh(first.refresh_token)).json().error, "invalid_grant");
  assert.equal((await app.refresh(second.refresh_token)).json().error, "invalid_grant");
});

test("a revoked refresh token is of no use", async () => {
  const { refresh_token: token } = await app.tokens("admin@example.com");
  assert.equal((await app.post("/token/revocation", { token, token_type_hint: "refresh_token" })).status, 200);
  assert.equal((await app.refresh(token)).json().error, "invalid_grant");
});

test("without offline_access there is no refresh token", async () => {
  const tokens = await app.tokens("admin@example.com", { scope: "openid email" });
  assert.equal(tokens.refresh_token, undefined);
});

test("the lifetimes are those of the command line", async () => {
  const tokens = await app.tokens("admin@example.com");
  const { iat, exp } = await app.claims(tokens.id_token);
  assert.equal(exp - iat, 7);
  assert.equal(tokens.expires_in, 9);
});

test("an audience makes the access token a JWT for it", async () => {
  for (const audience of ["lxd", "https://lxd.example.com/api"]) {
    const { access_token: token } = await app.tokens("admin@example.com", { audience });
    const claims = await app.claims(token);
    assert.equal(claims.aud, audience);
    assert.equal(claims.sub, "ada-admin");
  }
});

test("without an audience, an empty one included, the access token opens the user information", async () => {
  for (const audience of [undefined, ""]) {
    const { access_token: token } = await app.tokens("viewer@example.com", { audience });
    const answer = await app.browser.fetch("/me", { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.json().email, "viewer@example.com");
  }
});
