import { describe, expect, it } from "vitest";
import { readInstances, readOperation } from "./lxd";

const web = {
  name: "web-1",
  project: "shop",
  type: "container",
  status: "Running",
  location: "m1",
  created_at: "2026-11-01T00:00:00Z",
  last_used_at: "2026-11-02T00:00:00Z",
};

describe("the instances of an answer", () => {
  it("are read with what the page needs, and nothing else", () => {
    const answer = [{ ...web, config: { "user.secret": "x" }, devices: {} }];
    expect(readInstances(answer)).toEqual({ instances: [web], leftOut: 0 });
  });

  it.each([null, undefined, []])("are none: %j", (answer) => {
    expect(readInstances(answer)).toEqual({ instances: [], leftOut: 0 });
  });

  it.each([{ length: 3 }, "web-1", 7, true, { instances: [web] }])("cannot be read of %j", (answer) => {
    expect(readInstances(answer)).toBeNull();
  });

  it.each([
    null,
    7,
    "web-1",
    [],
    {},
    { ...web, name: "" },
    { ...web, name: 7 },
    { ...web, name: null },
    { ...web, name: { toString: "x" } },
    ["web-1", "shop"],
  ])("leave out an entry that names none: %j", (entry) => {
    expect(readInstances([entry, web])).toEqual({ instances: [web], leftOut: 1 });
  });

  it("have texts wherever the page expects some", () => {
    const odd = { name: "odd", project: 0, type: {}, status: null, location: ["m1"], created_at: 1e99 };
    expect(readInstances([odd])?.instances).toEqual([
      { name: "odd", project: "default", type: "", status: "", location: "", created_at: "", last_used_at: "" },
    ]);
  });

  it("are there once: the same name in another project is another instance", () => {
    const answer = [web, { ...web, status: "Stopped" }, { ...web, project: "lab" }];
    expect(readInstances(answer)).toEqual({ instances: [web, { ...web, project: "lab" }], leftOut: 1 });
  });
});

describe("an operation", () => {
  it("is read with its reason, if there is one", () => {
    expect(readOperation({ id: "a", status: "Failure", err: "no room", metadata: {} })).toEqual({
      id: "a",
      status: "Failure",
      err: "no room",
    });
    expect(readOperation({ id: "a", status: 400, err: null })).toEqual({ id: "a", status: "", err: "" });
  });

  it.each([null, [], "a", {}, { id: "" }, { id: 5, status: "Success" }])("cannot be read of %j", (answer) => {
    expect(readOperation(answer)).toBeNull();
  });
});
