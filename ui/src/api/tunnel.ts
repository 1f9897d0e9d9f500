// What goes through a cluster's tunnel to its LXD. A cluster answers one request after the other, so few are sent at a time.
import { queryOptions } from "@tanstack/react-query";
import { limiter } from "@/lib/limiter";
import { ApiError, call } from "./client";
import { readInstances, readOperation, type Instance } from "./lxd";

const AT_ONCE = 2;
const limited = limiter(AT_ONCE);

export const ACTIONS = ["start", "stop", "restart", "freeze", "unfreeze"] as const;

export type InstanceAction = (typeof ACTIONS)[number];

/** What the cluster says, in whatever shape it says it. */
function through(cluster: string, method: "GET" | "PUT", path: string, body?: object): Promise<unknown> {
  const address = `/1.0/remote-cluster/${encodeURIComponent(cluster)}/tunnel${path}`;
  return limited(cluster, () => call<unknown>(method, address, body));
}

/** Something that was read from an answer, unless the answer makes no sense. */
function sensible<T>(read: T | null, changes: boolean): T {
  if (read !== null) return read;
  throw new ApiError(502, "The answer of the cluster's LXD makes no sense.", "", { changes });
}

/** All instances of all projects. Nothing of it is repeated: the next look is thirty seconds away. */
export const instancesQuery = (cluster: string) =>
  queryOptions({
    queryKey: ["instances", cluster],
    queryFn: async () =>
      sensible(readInstances(await through(cluster, "GET", "/1.0/instances?recursion=1&all-projects=true")), false),
    retry: false,
  });

const STOP_TIME_S = 30;
const ASK_AGAIN_MS = 2000;
const PATIENCE_MS = 60_000;

/** What came of a change: done, or not finished within a minute. */
export type Outcome = "done" | "still running";

/**
 * Starts, stops, restarts, freezes or unfreezes an instance and follows LXD's operation. It is asked for every two
 * seconds and never waited for in one long request, which would keep the tunnel busy.
 *
 * @throws ApiError if LXD refuses, the operation fails, or an answer makes no sense
 */
export async function changeInstance(
  cluster: string,
  { name, project }: Pick<Instance, "name" | "project">,
  action: InstanceAction,
  force: boolean,
  wait: (ms: number) => Promise<void> = (ms) => new Promise((go) => setTimeout(go, ms)),
): Promise<Outcome> {
  const path = `/1.0/instances/${encodeURIComponent(name)}/state?project=${encodeURIComponent(project)}`;
  const order = { action, timeout: STOP_TIME_S, force };
  const begun = sensible(readOperation(await through(cluster, "PUT", path, order)), true);
  for (let waited = 0; waited < PATIENCE_MS; waited += ASK_AGAIN_MS) {
    await wait(ASK_AGAIN_MS);
    const answer = await through(cluster, "GET", `/1.0/operations/${encodeURIComponent(begun.id)}`);
    const { status, err } = sensible(readOperation(answer), true);
    if (status === "Success") return "done";
    if (status === "Failure" || status === "Cancelled") {
      throw new ApiError(400, err === "" ? `The operation ended as ${status}.` : err, "");
    }
  }
  return "still running";
}
