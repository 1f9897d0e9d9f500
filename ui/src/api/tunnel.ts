// What goes through a cluster's tunnel to its LXD. A cluster answers one request after the other, so few are sent at a time.
import { queryOptions } from "@tanstack/react-query";
import { limiter } from "@/lib/limiter";
import { ApiError, call } from "./client";

const AT_ONCE = 2;
const limited = limiter(AT_ONCE);

/** An instance as LXD lists it. */
export interface Instance {
  name: string;
  project: string;
  /** `container` or `virtual-machine`. */
  type: string;
  status: string;
  location: string;
  created_at: string;
  last_used_at: string;
}

export const ACTIONS = ["start", "stop", "restart", "freeze", "unfreeze"] as const;

export type InstanceAction = (typeof ACTIONS)[number];

interface Operation {
  id: string;
  status: string;
  err?: string;
}

function through<T>(cluster: string, method: "GET" | "PUT", path: string, body?: object): Promise<T> {
  const address = `/1.0/remote-cluster/${encodeURIComponent(cluster)}/tunnel${path}`;
  return limited(cluster, () => call<T>(method, address, body));
}

/** All instances of all projects. Nothing of it is repeated: the next look is thirty seconds away. */
export const instancesQuery = (cluster: string) =>
  queryOptions({
    queryKey: ["instances", cluster],
    queryFn: async () =>
      (await through<Instance[] | null>(cluster, "GET", "/1.0/instances?recursion=1&all-projects=true")) ?? [],
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
 * @throws ApiError if LXD refuses, or the operation fails
 */
export async function changeInstance(
  cluster: string,
  { name, project }: Pick<Instance, "name" | "project">,
  action: InstanceAction,
  force: boolean,
  wait: (ms: number) => Promise<void> = (ms) => new Promise((go) => setTimeout(go, ms)),
): Promise<Outcome> {
  const path = `/1.0/instances/${encodeURIComponent(name)}/state?project=${encodeURIComponent(project)}`;
  const begun = await through<Operation>(cluster, "PUT", path, { action, timeout: STOP_TIME_S, force });
  for (let waited = 0; waited < PATIENCE_MS; waited += ASK_AGAIN_MS) {
    await wait(ASK_AGAIN_MS);
    const { status, err } = await through<Operation>(cluster, "GET", `/1.0/operations/${encodeURIComponent(begun.id)}`);
    if (status === "Success") return "done";
    if (status === "Failure" || status === "Cancelled") {
      throw new ApiError(400, err === undefined || err === "" ? `The operation ended as ${status}.` : err, "");
    }
  }
  return "still running";
}
