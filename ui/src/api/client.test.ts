import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, call } from "./client";
import { serverNow } from "./serverClock";

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const fetched = vi.fn(() => Promise.resolve(new Response(text, { status, headers })));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("call", () => {
  it("gives the metadata of the envelope", async () => {
    answer(200, { error: "", metadata: ["a"] });
    await expect(call("GET", "/1.0/remote-cluster")).resolves.toEqual(["a"]);
  });

  it("sends JSON with changes, and nothing of the kind with reads", async () => {
    const fetched = answer(200, { error: "", metadata: {} });
    await call("POST", "/1.0/x", { a: 1 });
    await call("GET", "/1.0/x");
    expect(fetched).toHaveBeenNthCalledWith(
      1,
      "/1.0/x",
      expect.objectContaining({
        body: '{"a":1}',
        headers: { Accept: "application/json", "Content-Type": "application/json" },
      }),
    );
    expect(fetched).toHaveBeenNthCalledWith(
      2,
      "/1.0/x",
      expect.objectContaining({ headers: { Accept: "application/json" } }),
    );
  });

  it("fails with the server's words and the id of the request", async () => {
    answer(409, { error: "cluster name already exists", metadata: null }, { "X-Request-Id": "r-1" });
    await expect(call("POST", "/1.0/x", {})).rejects.toMatchObject({
      status: 409,
      message: "cluster name already exists",
      requestId: "r-1",
    });
  });

  it("says the status when the answer is not from the server", async () => {
    answer(502, "<html>Bad gateway</html>");
    await expect(call("GET", "/1.0")).rejects.toThrow("The server could not answer (status 502).");
    answer(200, "<html>Welcome to the hotel</html>");
    await expect(call("GET", "/1.0")).rejects.toThrow(/a proxy may be in between/);
  });

  it.each([{ a: 1 }, ["a"], 5, null, "", undefined])("says the status when the error is no text: %j", async (error) => {
    answer(503, { error, metadata: null });
    await expect(call("GET", "/1.0")).rejects.toThrow("The server is not ready.");
  });

  it.each([[], 5, "text", true])("takes an answer without an envelope for one without metadata: %j", async (body) => {
    answer(200, JSON.stringify(body));
    await expect(call("GET", "/1.0")).resolves.toBeUndefined();
  });

  it("has status 0 when nothing answered", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    const error: unknown = await call("GET", "/1.0").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 0, message: "The server cannot be reached." });
  });

  it("[clock-skew] learns the server's clock, and takes small differences for noise", async () => {
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 22, 12) });
    const hourAhead = new Date(Date.now() + 3_600_000).toUTCString();
    answer(200, { error: "", metadata: null }, { Date: hourAhead });
    await call("GET", "/1.0");
    expect(serverNow() - Date.now()).toBe(3_600_000);
    answer(200, { error: "", metadata: null }, { Date: new Date(Date.now() + 1000).toUTCString() });
    await call("GET", "/1.0");
    expect(serverNow()).toBe(Date.now());
  });
});
