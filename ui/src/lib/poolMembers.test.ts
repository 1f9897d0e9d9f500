import { expect, it } from "vitest";
import { membersOf } from "./poolMembers";

it("names the members with pools of their own and their fullest pool", () => {
  const pools = [
    { name: "local", member: "a10", total: 100, usage: 20 },
    { name: "fast", member: "a2", total: 100, usage: 70 },
    { name: "local", member: "a2", total: 100, usage: 71 },
    { name: "remote", member: "", total: 100, usage: 99 },
  ];
  expect(membersOf(pools)).toEqual([
    { name: "a2", pools: 2, fullest: { pool: "local", percent: 71 } },
    { name: "a10", pools: 1, fullest: { pool: "local", percent: 20 } },
  ]);
});
