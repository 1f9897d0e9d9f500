import { learnServerTime } from "./serverClock";

/** A request that failed: refused by the server, or never answered (`status` 0). */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** HTTP status; 0 if no answer came. */
    readonly status: number,
    /** One sentence, the server's own words where it sent some. */
    message: string,
    /** What the server's log calls this request; empty if it sent none. */
    readonly requestId: string,
  ) {
    super(message);
  }
}

interface Envelope {
  error: string;
  metadata: unknown;
}

/** Calls the Management API and gives the `metadata` of its envelope. */
export async function call<T>(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<T> {
  const response = await request(method, path, body);
  const requestId = response.headers.get("X-Request-Id") ?? "";
  learnServerTime(response.headers.get("Date"));
  const envelope = (await response.json().catch(() => null)) as Envelope | null;
  if (!response.ok) {
    const words = envelope?.error ?? "";
    throw new ApiError(response.status, words === "" ? reason(response.status) : words, requestId);
  }
  if (envelope === null) {
    throw new ApiError(502, "The answer was not from the Cluster Manager; a proxy may be in between.", requestId);
  }
  return envelope.metadata as T;
}

async function request(method: string, path: string, body?: object): Promise<Response> {
  try {
    return await fetch(path, {
      method,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...(method === "GET" ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.", "");
  }
}

function reason(status: number): string {
  return status >= 500 ? `The server could not answer (status ${status}).` : `The server refused (status ${status}).`;
}
