// What the tests drive the provider with: the process itself, a browser's cookie jar and an application's half of the flow.

import { execFileSync, spawn } from "node:child_process";
import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const SERVER = new URL("../server.mjs", import.meta.url).pathname;
export const REDIRECT_URI = "https://localhost:12345/oidc/callback";

/** Starts a provider with a certificate of its own; `stop` ends it and removes its files. */
export async function startProvider(...args) {
  const folder = mkdtempSync(join(tmpdir(), "identity-provider-"));
  const [cert, key, users] = ["cert.pem", "key.pem", "users.json"].map((name) => join(folder, name));
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
    ],
    { stdio: "ignore" },
  );
  writeFileSync(users, "[]");

  const options = ["--cert", cert, "--key", key, "--users", users, "--exit-with-stdin", ...args];
  const child = spawn(process.execPath, [SERVER, ...options], { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  const output = [];
  const log = [];
  child.stderr.on("data", (data) => log.push(data));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => output.push(line));
  await Promise.race([
    once(lines, "line"),
    exited.then(() => {
      throw new Error(`it ended: ${Buffer.concat(log)}`);
    }),
  ]);

  const { issuer } = JSON.parse(output[0]);
  return {
    child,
    exited,
    issuer,
    output,
    ca: readFileSync(cert),
    setUsers: (list) => writeFileSync(users, JSON.stringify(list)),
    async stop() {
      child.stdin.end();
      const [code] = await exited;
      rmSync(folder, { recursive: true });
      return code;
    },
  };
}

/** One browser: keeps cookies per name and path, follows nothing by itself. */
export class Browser {
  #jar = new Map();

  constructor(provider) {
    this.provider = provider;
  }

  async fetch(address, { method = "GET", form, headers = {} } = {}) {
    const url = new URL(address, this.provider.issuer);
    const body = form && new URLSearchParams(form).toString();
    const sent = request(url, {
      method: body === undefined ? method : "POST",
      ca: this.provider.ca,
      headers: {
        ...headers,
        cookie: this.#cookiesFor(url.pathname),
        ...(body !== undefined && {
          "content-type": "application/x-www-form-urlencoded",
          "content-length": Buffer.byteLength(body),
        }),
      },
    });
    sent.end(body);
    const [response] = await once(sent, "response");
    const parts = await response.toArray();
    for (const cookie of response.headers["set-cookie"] ?? []) this.#keep(cookie);
    const text = Buffer.concat(parts).toString();
    return { status: response.statusCode, headers: response.headers, text, json: () => JSON.parse(text), url };
  }

  /** Goes on until a page is shown or the way leads out of the provider. */
  async follow(address, options) {
    let response = await this.fetch(address, options);
    while (response.headers.location) {
      const next = new URL(response.headers.location, response.url);
      if (next.origin !== this.provider.issuer) return { ...response, left: next };
      response = await this.fetch(next);
    }
    return response;
  }

  #cookiesFor(path) {
    return [...this.#jar.values()]
      .filter((cookie) => path.startsWith(cookie.path))
      .map(({ pair }) => pair)
      .join("; ");
  }

  #keep(header) {
    const [pair, ...attributes] = header.split(/;\s*/);
    const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? "/";
    const key = `${pair.split("=")[0]} ${path}`;
    if (/expires=Thu, 01 Jan 1970/i.test(header)) this.#jar.delete(key);
    else this.#jar.set(key, { pair, path });
  }
}

/** The application's half: asks for a login, turns codes and refresh tokens into tokens and checks their signatures. */
export class Application {
  constructor(provider, { id = "mcm-web", secret } = {}) {
    Object.assign(this, { provider, id, secret, browser: new Browser(provider) });
    this.verifier = randomBytes(32).toString("base64url");
    this.state = randomBytes(16).toString("base64url");
    this.nonce = randomBytes(16).toString("base64url");
  }

  authorizationUrl(changes = {}) {
    const url = new URL("/auth", this.provider.issuer);
    const parameters = {
      client_id: this.id,
      redirect_uri: REDIRECT_URI,
      response_type: "code",
      scope: "openid offline_access email profile",
      state: this.state,
      nonce: this.nonce,
      code_challenge: createHash("sha256").update(this.verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...changes,
    };
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
    return url;
  }

  /** Logs `email` in with `browser` and returns the address that the provider sends the browser back to. */
  async logIn(browser, email, changes) {
    const page = await browser.follow(this.authorizationUrl(changes));
    const { left, text } = page.left ? page : await browser.follow(page.url, { form: { login: email } });
    if (!left) throw new Error(`not logged in: ${text}`);
    return left;
  }

  async tokens(email, changes) {
    const browser = new Browser(this.provider);
    const callback = await this.logIn(browser, email, changes);
    const answer = await this.post("/token", {
      grant_type: "authorization_code",
      code: callback.searchParams.get("code"),
      redirect_uri: REDIRECT_URI,
      code_verifier: this.verifier,
    });
    if (answer.status !== 200) throw new Error(answer.text);
    return { ...answer.json(), browser };
  }

  refresh(token) {
    return this.post("/token", { grant_type: "refresh_token", refresh_token: token });
  }

  post(path, form) {
    const headers = this.secret
      ? { authorization: `Basic ${Buffer.from(`${this.id}:${this.secret}`).toString("base64")}` }
      : {};
    return this.browser.fetch(path, { form: this.secret ? form : { ...form, client_id: this.id }, headers });
  }

  /** The claims of a token whose signature is right; throws for any other. */
  async claims(token) {
    const [header, payload, signature] = token.split(".");
    const { kid, alg } = JSON.parse(Buffer.from(header, "base64url"));
    const { keys } = (await this.browser.fetch("/jwks")).json();
    const key = createPublicKey({ key: keys.find((each) => each.kid === kid && each.alg === alg), format: "jwk" });
    if (!verify("RSA-SHA256", Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, "base64url"))) {
      throw new Error("the signature is wrong");
    }
    return JSON.parse(Buffer.from(payload, "base64url"));
  }
}
