import { QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { RouterProvider } from "react-router";
import { vi } from "vitest";
import { createQueryClient } from "@/app/queryClient";
import { createRouter } from "@/app/router";
import { ToastProvider } from "@/components/Toasts";

/** For a request that the server takes and does not answer. */
export const never = "never";

type Answer = { status: number; error: string } | { metadata: unknown } | typeof never;
type Answers = Record<string, Answer | ((body: unknown) => Answer)>;

export const ADMIN = { email: "admin@example.com", name: "Ada Min", groups: ["admins"], trusted: true, role: "admin" };

/** Stands in for the server: answers by `METHOD path`, with an administrator logged in unless told otherwise. */
export function serve(answers: Answers) {
  const all: Answers = {
    "GET /1.0": { metadata: ADMIN },
    "GET /1.0/configuration": { metadata: { version: { value: "1.2.3", title: "Version", description: "" } } },
    "GET /1.0/fleet/clusters?rows=values": { metadata: [] },
    "GET /1.0/remote-cluster-join-token": { metadata: [] },
    ...answers,
  };
  const calls: string[] = [];
  const matchers: ((key: string) => Answer | undefined)[] = [];
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    const key = `${init.method ?? "GET"} ${path}`;
    calls.push(key);
    const entry = all[key] ??
      matchers.map((match) => match(key)).find((found) => found !== undefined) ?? { status: 404, error: "Not Found" };
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : null;
    const answer = typeof entry === "function" ? entry(body) : entry;
    if (answer === never) return new Promise<Response>(() => undefined);
    const failed = "status" in answer;
    return Promise.resolve(
      new Response(JSON.stringify(failed ? { error: answer.error, metadata: null } : { error: "", ...answer }), {
        status: failed ? answer.status : 200,
        headers: { "X-Request-Id": "request-7" },
      }),
    );
  });
  /** For addresses with a query that the test does not know. */
  const match = (matcher: (typeof matchers)[number]) => matchers.push(matcher);
  return { calls, match, set: (key: string, answer: Answer) => (all[key] = answer) };
}

/** Opens the application at an address, as a browser would. */
export function open(path: string) {
  window.history.replaceState(null, "", path);
  const client = createQueryClient();
  // Attempts that follow one another in the browser do so at once here.
  client.setDefaultOptions({ queries: { ...client.getDefaultOptions().queries, retryDelay: 0 } });
  const view = render(
    <QueryClientProvider client={client}>
      <ToastProvider>
        <RouterProvider router={createRouter()} />
      </ToastProvider>
    </QueryClientProvider>,
  );
  return { ...view, client, user: userEvent.setup() };
}
