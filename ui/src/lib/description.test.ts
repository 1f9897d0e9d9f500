import { expect, it } from "vitest";
import { checkDescription } from "./description";

it.each(["", "Edge rack, Lyon", "two\nlines", "<b>é</b> 東京", "é".repeat(512), "😀".repeat(512)])(
  "takes the description %j",
  (text) => {
    expect(checkDescription(text)).toBe(true);
  },
);

it("says how long a description is that is too long", () => {
  expect(checkDescription("x".repeat(513))).toBe("The description has 513 characters; 512 are allowed.");
});

it.each([
  ["a\0", "U+0000"],
  ["a\r\n", "U+000D"],
  ["\u001b[31m", "U+001B"],
  ["\u202etxt", "U+202E"],
  ["\u2066", "U+2066"],
])("names the character in %j that the server would refuse", (text, name) => {
  expect(checkDescription(text)).toContain(name);
});
