import { expect, it } from "vitest";
import { forgetView, savedViews, saveView } from "./savedViews";

it("[saved-views] keeps searches by name, without page and panel, and survives what others left in the storage", () => {
  expect(savedViews()).toEqual([]);
  saveView("full", "query=mem%3E80&sort=-memory&page=3&panel=enroll-cluster&cluster=x");
  saveView("old", "query=seen%3E1d");
  expect(saveView("full", "query=disk%3E80")).toEqual([
    { name: "old", search: "query=seen%3E1d" },
    { name: "full", search: "query=disk%3E80" },
  ]);
  expect(forgetView("old")).toEqual([{ name: "full", search: "query=disk%3E80" }]);
  expect(savedViews()).toHaveLength(1);
  for (const rubbish of ["{", '{"a":1}', "[1,null,{}]"]) {
    localStorage.setItem("cluster-list-views", rubbish);
    expect(savedViews()).toEqual([]);
  }
});
