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
    /** What else is known of the request. */
    readonly more: { changes?: boolean; retryAfter?: number | null } = {},
  ) {
    super(message);
  }
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What comes through a tunnel was written by somebody else: its error may be anything. */
interface Envelope {
  error?: unknown;
  metadata?: unknown;
}

/** Nothing that the server does for a page takes longer, through a tunnel neither. */
const PATIENCE_MS = 75_000;

/** Calls the Management API and gives the `metadata` of its envelope. A request is never repeated here. */
export async function call<T>(method: Method, path: string, body?: object, signal?: AbortSignal): Promise<T> {
  return metadata<T>(method, await request(method, path, { body, signal }));
}

/** An answer that is kept, to be asked for again only if it changed. */
export interface Kept<T> {
  etag: string;
  value: T;
}

/** A read that costs next to nothing while nothing changes: the server then answers 304 and `before` is given back. */
export async function callIfChanged<T>(path: string, before: Kept<T> | undefined): Promise<Kept<T>> {
  const etag = before?.etag ?? "";
  const response = await request("GET", path, etag === "" ? {} : { headers: { "If-None-Match": etag } });
  if (response.status === 304 && before !== undefined) {
    learnServerTime(response.headers.get("Date"));
    return before;
  }
  return { etag: response.headers.get("ETag") ?? "", value: await metadata<T>("GET", response) };
}

async function metadata<T>(method: Method, response: Response): Promise<T> {
  const requestId = response.headers.get("X-Request-Id") ?? "";
  learnServerTime(response.headers.get("Date"));
  const envelope = (await response.json().catch(() => null)) as Envelope | null;
  if (!response.ok) {
    const words = envelope?.error;
    const said = typeof words === "string" && words !== "";
    throw new ApiError(response.status, said ? words : reason(response.status), requestId, {
      changes: method !== "GET",
      retryAfter: seconds(response.headers.get("Retry-After")),
    });
  }
  if (envelope === null) {
    throw new ApiError(502, "The answer was not from the Cluster Manager; a proxy may be in between.", requestId);
  }
  return envelope.metadata as T;
}

interface Options {
  body?: object | undefined;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

async function request(method: Method, path: string, { body, headers, signal }: Options): Promise<Response> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await fetch(path, {
      method,
      credentials: "same-origin",
      headers: {
        Accept: "application/json",
        ...(method === "GET" ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    });
  } catch (error) {
    const changes = method !== "GET";
    if (patience.aborted) throw new ApiError(504, "The server did not answer in time.", "", { changes });
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.", "", { changes });
  }
}

/** `Retry-After` in seconds; null where there is none, or a date. */
function seconds(header: string | null): number | null {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) : null;
}

const REASONS: Record<number, string> = {
  401: "The session has ended: log in again.",
  403: "Your account may not do this.",
  404: "It is not there; it may have been removed.",
  409: "It is there already, or was changed meanwhile.",
  413: "The server refused the request as too large.",
  429: "Too many requests.",
  502: "The server could not answer (status 502).",
  503: "The server is not ready.",
  504: "The answer took too long.",
};

function reason(status: number): string {
  const known = REASONS[status];
  if (known !== undefined) return known;
  return status >= 500 ? `The server could not answer (status ${status}).` : `The server refused (status ${status}).`;
}
