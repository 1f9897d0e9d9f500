import { describe, expect, it, vi } from "vitest";
import type { BulkResult } from "@/api/types";
import { runBulk, type Progress } from "./bulk";

const names = (n: number) => Array.from({ length: n }, (_, at) => `c${at}`);
const good = (part: readonly string[]): BulkResult[] => part.map((name) => ({ name, status: 200, error: null }));
const open = () => new AbortController().signal;

describe("runBulk", () => {
  it("[bulk-5000] does all of them in few requests and tells the progress", async () => {
    let underWay = 0;
    let most = 0;
    const send = vi.fn(async (part: readonly string[]) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      return good(part);
    });
    const seen: number[] = [];
    const end = await runBulk(names(5000), send, open(), ({ done }) => seen.push(done));
    expect(end).toEqual({ total: 5000, done: 5000, failed: [], left: [] });
    expect(send).toHaveBeenCalledTimes(50);
    expect(most).toBeLessThanOrEqual(6);
    expect(seen).toHaveLength(50);
    expect(seen.at(-1)).toBe(5000);
    expect(send.mock.calls.flatMap(([part]) => part)).toEqual(names(5000));
  });

  it("[bulk-partial-failure] names what failed, also when a whole request did", async () => {
    const send = vi.fn((part: readonly string[]) => {
      if (part.includes("c100")) return Promise.reject(new Error("The server cannot be reached."));
      return Promise.resolve(
        part.map((name) =>
          name === "c3" ? { name, status: 404, error: "not found" } : { name, status: 200, error: null },
        ),
      );
    });
    const { done, failed } = await runBulk(names(250), send, open(), () => undefined);
    expect(done).toBe(250);
    expect(failed).toHaveLength(101);
    expect(failed.find(({ name }) => name === "c3")?.error).toBe("not found");
    expect(failed.find(({ name }) => name === "c150")?.error).toBe("The server cannot be reached.");
  });

  it("counts a name as failed that the server says nothing about", async () => {
    const { failed } = await runBulk(
      ["a", "b"],
      () => Promise.resolve(good(["a"])),
      open(),
      () => undefined,
    );
    expect(failed.map(({ name }) => name)).toEqual(["b"]);
  });

  it("stops between two requests and says what is left", async () => {
    const stop = new AbortController();
    const send = vi.fn((part: readonly string[]) => Promise.resolve(good(part)));
    const last: Progress[] = [];
    const end = await runBulk(names(1000), send, stop.signal, (progress) => {
      last.push(progress);
      stop.abort();
    });
    expect(end.done + end.left.length).toBe(1000);
    expect(end.left.length).toBeGreaterThanOrEqual(700);
    expect(end.left.at(-1)).toBe("c999");
  });
});
