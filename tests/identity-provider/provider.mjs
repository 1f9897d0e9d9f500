// How the certified provider is set up here: real protocol, consent taken for granted, any loopback address of the
// application accepted.

import { generateKeyPairSync, randomBytes } from "node:crypto";

import Provider, { interactionPolicy } from "oidc-provider";

import { createLoginRoutes, LOGIN_PATH } from "./login.mjs";
import { answerWithPage, noticePage } from "./pages.mjs";

const SCOPES = "openid offline_access email profile";
const LOGGED_OUT_PATHS = new Set(["/ui/", "/ui/login", "/ui/login/"]);
const AUDIENCE_PREFIX = "urn:audience:";

/** Makes the function that answers every request of the provider's HTTPS server. */
export function createRequestHandler(settings) {
  const provider = new Provider(settings.issuer, configuration(settings));
  provider.Client.prototype.redirectUriAllowed = (uri) => isLoopback(uri, (path) => path === "/oidc/callback");
  provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) =>
    isLoopback(uri, (path) => LOGGED_OUT_PATHS.has(path));
  provider.use(grantOfflineAccess);
  logFailures(provider);
  provider.on("grant.success", ({ oidc }) => console.error(`grant.success: ${oidc.params.grant_type}`));

  const fromProvider = provider.callback();
  const fromLogin = createLoginRoutes(provider, settings.people);
  return (req, res) => (fromLogin.owns(req) ? fromLogin.answer(req, res) : fromProvider(req, res));
}

function configuration({ people, ttl, client, rotateRefreshTokens, groupsClaim }) {
  return {
    clients: [clientMetadata(client)],
    jwks: { keys: [signingKey()] },
    scopes: SCOPES.split(" "),
    // The groups come with every login: applications ask for the usual scopes only.
    claims: { openid: ["sub", groupsClaim], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false, // the ID token itself carries the claims of the scopes, as most providers do it
    findAccount: (_ctx, sub) => people.account(sub),
    pkce: { required: () => true },
    extraParams: ["audience"],
    // Access tokens for an audience say who it is, as most providers let one configure it.
    extraTokenClaims: async (_ctx, token) => (await people.account(token.accountId))?.claims(),
    rotateRefreshToken: rotateRefreshTokens,
    ttl: { ...ttl, AuthorizationCode: 60, Grant: ttl.RefreshToken, Interaction: 3600 },
    interactions: { url: (_ctx, interaction) => `${LOGIN_PATH}${interaction.uid}`, policy: loginOnly() },
    loadExistingGrant: grantEverything,
    // Own names: cookies ignore ports, so that every service on localhost shares one jar.
    cookies: {
      keys: [randomBytes(32).toString("base64url")],
      names: {
        session: "development-idp-session",
        interaction: "development-idp-login",
        resume: "development-idp-resume",
      },
    },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      introspection: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: logOut, postLogoutSuccessSource: loggedOut },
      resourceIndicators: audienceAsResource(ttl.AccessToken),
    },
    // Without the library's own dispatcher, which sends nothing to this machine: applications that want to hear of logouts are here.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    renderError: (ctx, out) => {
      answerWithPage(
        ctx,
        noticePage("This request cannot be answered", `${out.error}: ${out.error_description ?? "no details"}`),
      );
    },
  };
}

function clientMetadata({ id, secret, backchannelLogoutUri }) {
  return {
    client_id: id,
    ...(secret ? { client_secret: secret } : { token_endpoint_auth_method: "none" }),
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    // What is really accepted is decided by `isLoopback`; the metadata must name one of each.
    redirect_uris: ["https://localhost/oidc/callback"],
    post_logout_redirect_uris: ["https://localhost/ui/login/"],
    ...(backchannelLogoutUri && {
      backchannel_logout_uri: backchannelLogoutUri,
      backchannel_logout_session_required: true,
    }),
  };
}

function signingKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: randomBytes(8).toString("hex") };
}

/** Applications under test take a free port or an address of their own in 127.0.0.0/8: all of this machine is theirs. */
function isLoopback(uri, pathAllowed) {
  const url = URL.parse(uri);
  if (url === null || url.protocol !== "https:" || url.username || url.password || url.search || url.hash) return false;
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname) || url.hostname.endsWith(".localhost");
  return local && pathAllowed(url.pathname);
}

/** Logging in is the only question asked: `prompt=consent` is allowed and answered with yes. */
function loginOnly() {
  const policy = interactionPolicy.base();
  policy.get("consent").checks.clear();
  return policy;
}

/** Refresh tokens are given to whoever asks for `offline_access`; the library alone insists on `prompt=consent` with it. */
async function grantOfflineAccess(ctx, next) {
  const { scope = "", prompt = "" } = ctx.query;
  if (
    ctx.path === "/auth" &&
    String(scope).split(" ").includes("offline_access") &&
    !/\b(none|consent)\b/.test(prompt)
  ) {
    ctx.query = { ...ctx.query, prompt: `${prompt} consent`.trim() };
  }
  await next();
}

async function grantEverything({ oidc }) {
  const { provider, session, client } = oidc;
  const known = session.grantIdFor(client.clientId);
  const grant =
    (known && (await provider.Grant.find(known))) ||
    new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(SCOPES);
  for (const resource of Object.keys(oidc.resourceServers)) grant.addResourceScope(resource, SCOPES);
  await grant.save();
  return grant;
}

/** The `audience` parameter of other providers, on top of RFC 8707: access tokens for an audience are JWTs. */
function audienceAsResource(accessTokenTTL) {
  return {
    enabled: true,
    // A resource must be a URI, an audience need not be one.
    defaultResource: (ctx, _client, oneOf) => {
      if (oneOf) return oneOf;
      const audience = ctx.oidc.params?.audience;
      return audience ? `${AUDIENCE_PREFIX}${encodeURIComponent(audience)}` : undefined;
    },
    useGrantedResource: () => true,
    getResourceServerInfo: (_ctx, resource) => ({
      scope: SCOPES,
      audience: resource.startsWith(AUDIENCE_PREFIX)
        ? decodeURIComponent(resource.slice(AUDIENCE_PREFIX.length))
        : resource,
      accessTokenTTL,
      accessTokenFormat: "jwt",
    }),
  };
}

/**
 * Ends the session and returns to the application, without a question where the application proves with an ID token that
 * it means this very person. Anybody else gets a page with a button, so that a stray link logs nobody out.
 */
async function logOut(ctx, form) {
  const { session, params, entities, provider } = ctx.oidc;
  if (entities.IdTokenHint?.payload.sub !== session.accountId) {
    const button = '<button type="submit" form="op.logoutForm" name="logout" value="yes">Log out</button>';
    answerWithPage(
      ctx,
      noticePage("Log out of the identity provider?", "You can log in again at any time.", form + button),
    );
    return;
  }
  await session.destroy();
  ctx.cookies.set(provider.cookieName("session"), null);
  const target = new URL(params.post_logout_redirect_uri ?? ctx.oidc.urlFor("end_session_success"));
  if (params.post_logout_redirect_uri && params.state) target.searchParams.set("state", params.state);
  ctx.redirect(target.href);
  ctx.status = 303;
}

function loggedOut(ctx) {
  answerWithPage(ctx, noticePage("You are logged out", "You can close this page."));
}

function logFailures(provider) {
  for (const event of [
    "authorization.error",
    "grant.error",
    "end_session.error",
    "revocation.error",
    "userinfo.error",
    "backchannel.error",
    "server_error",
  ]) {
    provider.on(event, (_ctx, error) => {
      const detail = [error.message, error.error_description, error.error_detail, error.cause?.message]
        .filter(Boolean)
        .join(": ");
      console.error(`${event}: ${event === "server_error" ? error.stack : detail}`);
    });
  }
}
