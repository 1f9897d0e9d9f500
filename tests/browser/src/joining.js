import { spawn } from "node:child_process";
import { once } from "node:events";
import { joinCommand } from "./settings.js";

/** A simulated cluster that joins with a token. Its `stop` ends it; the heartbeats stop with it. */
export function join(token) {
  const child = spawn(joinCommand(), [token], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = [];
  child.stdout.on("data", (text) => said.push(text));
  child.stderr.on("data", (text) => said.push(text));
  const ended = once(child, "close");
  return {
    /** What it printed so far, for the message of a failure. */
    said: () => said.join(""),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await ended;
    },
  };
}
