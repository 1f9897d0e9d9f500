import { expect, it } from "vitest";
import { visible } from "./visible";

it.each([
  ["lyon-edge", "lyon-edge"],
  ["Málaga 東京 بيروت", "Málaga 東京 بيروت"],
  ["abc\u202Egnp.exe", "abc\\u202egnp.exe"],
  ["ad\u200Bmin", "ad\\u200bmin"],
  ["soft\u00ADhyphen", "soft\\u00adhyphen"],
  ["\u2066a\u2069", "\\u2066a\\u2069"],
  ["\u{E0041}", "\\u{e0041}"],
  ["bell\u0007nul\u0000", "bell\\u0007nul\\u0000"],
  ["blank\u3164", "blank\\u3164"],
  ["two\nlines\tand tab", "two lines and tab"],
  ["\uFEFFbom", "\\ufeffbom"],
  ["👩‍👩‍👧 at work", "👩‍👩‍👧 at work"],
  ["a\u200D👧", "a\\u200d👧"],
  ["half \uD800 pair", "half \\ud800 pair"],
  ["<script>alert(1)</script>", "<script>alert(1)</script>"],
])("shows %j as %j", (text, shown) => {
  expect(visible(text)).toBe(shown);
});
