// The development identity provider's process: options in, one JSON line out when it listens.
// Everything else that it says goes to standard error.

import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { parseArgs } from "node:util";

import { People } from "./people.mjs";

const HELP = `Development identity provider: OpenID Connect with known people and no passwords.

Usage: node server.mjs --cert FILE --key FILE [options]

  --host ADDRESS             address to listen on (127.0.0.1)
  --port NUMBER              port to listen on; 0 takes a free one (0)
  --issuer-host NAME         host name in the issuer's address (localhost)
  --cert FILE, --key FILE    certificate chain and private key, PEM
  --client-id ID             the one registered client (mcm-web)
  --client-secret SECRET     its secret; without one the client is public
  --backchannel-logout-uri URL  where the client wants to be told of logouts; none without it
  --users FILE               further people: JSON list of {"email", "name", "groups", "sub"}, read at every login and refresh
  --groups-claim NAME        claim that carries the groups (mcm-idp-groups)
  --ttl-id-token SECONDS     lifetime of ID tokens (3600)
  --ttl-access-token SECONDS lifetime of access tokens (3600)
  --ttl-refresh-token SECONDS  lifetime of refresh tokens (1209600)
  --ttl-session SECONDS      lifetime of the provider's own session (86400)
  --rotate-refresh-tokens    a refresh token serves once
  --exit-with-stdin          stop when standard input is closed
  --help                     this text

Each option may also come from the environment, for example IDENTITY_PROVIDER_CLIENT_SECRET.
When it listens it prints {"issuer":"https://localhost:PORT"}. SIGTERM and SIGINT stop it.
`;

const OPTIONS = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "0" },
  "issuer-host": { type: "string", default: "localhost" },
  cert: { type: "string" },
  key: { type: "string" },
  "client-id": { type: "string", default: "mcm-web" },
  "client-secret": { type: "string" },
  "backchannel-logout-uri": { type: "string" },
  users: { type: "string" },
  "groups-claim": { type: "string", default: "mcm-idp-groups" },
  "ttl-id-token": { type: "string", default: "3600" },
  "ttl-access-token": { type: "string", default: "3600" },
  "ttl-refresh-token": { type: "string", default: "1209600" },
  "ttl-session": { type: "string", default: "86400" },
  "rotate-refresh-tokens": { type: "boolean", default: false },
  "exit-with-stdin": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

function fail(message) {
  console.error(`identity provider: ${message}`);
  process.exit(1);
}

function readOptions() {
  const options = structuredClone(OPTIONS);
  for (const [name, option] of Object.entries(options)) {
    const value = process.env[`IDENTITY_PROVIDER_${name.toUpperCase().replaceAll("-", "_")}`];
    if (value) option.default = option.type === "boolean" ? value === "true" : value;
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(`${error.message} (--help lists the options)`);
  }
}

function number(options, name, least, most) {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < least || value > most) {
    fail(`--${name} must be a whole number from ${least} to ${most}, not "${options[name]}"`);
  }
  return value;
}

function pem(options, name) {
  if (!options[name]) fail(`--${name} is needed: a PEM file`);
  try {
    return readFileSync(options[name]);
  } catch (error) {
    return fail(`cannot read --${name}: ${error.message}`);
  }
}

// The library writes notices with console.info; standard output belongs to the one JSON line.
console.info = console.error;

const options = readOptions();
if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const port = number(options, "port", 0, 65535);
const year = 365 * 24 * 3600;
const ttl = {
  IdToken: number(options, "ttl-id-token", 1, year),
  AccessToken: number(options, "ttl-access-token", 1, year),
  RefreshToken: number(options, "ttl-refresh-token", 1, year),
  Session: number(options, "ttl-session", 1, year),
};
const people = new People({ file: options.users, groupsClaim: options["groups-claim"] });
try {
  people.all();
} catch (error) {
  fail(error.message);
}

const tls = { cert: pem(options, "cert"), key: pem(options, "key") };

// Loaded late: the library greets with warnings, and a wrong option should be answered by one line.
const { createRequestHandler } = await import("./provider.mjs");
const server = createServer(tls);
server.on("error", (error) => fail(`cannot listen on ${options.host}:${port}: ${error.message}`));
server.listen(port, options.host, () => {
  // The issuer contains the port, so the provider can only be made once the port is known.
  const issuer = `https://${options["issuer-host"]}:${server.address().port}`;
  server.on(
    "request",
    createRequestHandler({
      issuer,
      people,
      ttl,
      client: {
        id: options["client-id"],
        secret: options["client-secret"],
        backchannelLogoutUri: options["backchannel-logout-uri"],
      },
      rotateRefreshTokens: options["rotate-refresh-tokens"],
      groupsClaim: options["groups-claim"],
    }),
  );
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});

function stop() {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
if (options["exit-with-stdin"]) {
  process.stdin.once("close", stop);
  process.stdin.resume();
}
