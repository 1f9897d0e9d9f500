import { describe, expect, it } from "vitest";
import type { ClusterWarning } from "@/api/types";
import { warningText } from "./warnings";

/** Texts are compared with ordinary spaces; the product's keep the number and its sign on one line. */
const plain = (text: string) => text.replaceAll("\u00a0", " ");

describe("warningText", () => {
  it.each<[ClusterWarning, string]>([
    [
      { kind: "pool", name: "local", member: "lyon-a01", percent: 84, threshold: 80 },
      "Storage pool local on lyon-a01 is 84 % full, over the threshold of 80 %",
    ],
    [
      { kind: "pool", name: "remote", member: "", percent: 97, threshold: 90 },
      "Storage pool remote is 97 % full, over the threshold of 90 %",
    ],
    [{ kind: "memory", percent: 91, threshold: 80 }, "Memory usage is 91 %, over the threshold of 80 %"],
    [{ kind: "members", count: 1 }, "1 member is not online"],
    [{ kind: "members", count: 2 }, "2 members are not online"],
    [{ kind: "instances", count: 1 }, "1 instance is in error state"],
    [{ kind: "instances", count: 1500 }, "1,500 instances are in error state"],
    [{ kind: "heartbeat", minutes: 5 }, "No heartbeat for 5 min"],
    [{ kind: "heartbeat", minutes: 9 * 24 * 60 }, "No heartbeat for 9 days"],
    [{ kind: "ceph", status: "OFFLINE", count: 1 }, "1 Ceph service has the status OFFLINE"],
    [{ kind: "ceph", status: "DOWN", count: 3 }, "3 Ceph services have the status DOWN"],
  ])("words %o", (warning, text) => {
    expect(plain(warningText(warning))).toBe(text);
  });

  it("names a kind that a newer server invented", () => {
    const warning = { kind: "flood", days: 3 } as unknown as ClusterWarning;
    expect(warningText(warning)).toBe("Warning of the kind “flood”");
  });
});
