import { expect, it } from "vitest";
import { limiter } from "./limiter";

it("lets so many at a time through for each key, also after failures", async () => {
  const limited = limiter(2);
  const underWay = { a: 0, b: 0 };
  let most = 0;
  const work = (key: "a" | "b", fail: boolean) => () => {
    underWay[key] += 1;
    most = Math.max(most, underWay[key]);
    return Promise.resolve().then(() => {
      underWay[key] -= 1;
      if (fail) throw new Error("no");
      return key;
    });
  };
  const all = Array.from({ length: 20 }, (_, n) => {
    const key = n % 2 === 0 ? "a" : "b";
    return limited(key, work(key, n % 5 === 0));
  });
  const ends = await Promise.allSettled(all);
  expect(most).toBe(2);
  expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(4);
  await expect(limited("a", () => Promise.resolve(7))).resolves.toBe(7);
});
