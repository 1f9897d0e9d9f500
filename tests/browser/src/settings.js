// What the journeys need to know, from the environment.

function required(name, meaning) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: ${meaning}`);
  return value;
}

/** Origin of the Management API, which serves the web interface. */
export const MANAGEMENT_URL = new URL(
  required("MANAGEMENT_URL", "the address of a running server, such as https://localhost:9100"),
).origin;

/** Joins a simulated cluster: called with a join token, runs until SIGTERM. */
export const joinCommand = () =>
  required("JOIN_COMMAND", "an executable that joins a cluster with the token it is given");

/** Stops and starts the Management API: called with `stop` or `start`. */
export const serverCommand = () =>
  required("SERVER_COMMAND", "an executable that ends the Management API (stop) and starts it again (start)");

/** Folder for screenshots. */
export const ARTEFACTS = process.env.ARTEFACTS ?? new URL("../../artefacts", import.meta.url).pathname;

/** Whether the pictures that screens are compared with are taken anew, from what the server answers now. */
export const UPDATE_PICTURES = process.env.UPDATE_PICTURES === "1";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Clusters that the fleet has at least. */
export const FLEET = 20;

export const ADMIN = "admin@example.com";
export const VIEWER = "viewer@example.com";
