// Who can log in. Two people are always there; a file adds others or replaces them by address.

import { readFileSync } from "node:fs";

const BUILT_IN = [
  { sub: "ada-admin", email: "admin@example.com", name: "Ada Admin", groups: ["admins"] },
  { sub: "vic-viewer", email: "viewer@example.com", name: "Vic Viewer", groups: [] },
];

export class People {
  #file;
  #groupsClaim;

  constructor({ file, groupsClaim }) {
    this.#file = file;
    this.#groupsClaim = groupsClaim;
  }

  /**
   * Everybody, sorted as they were given. The file is read each time, so that a test can change somebody's groups while
   * the provider runs and see it at the next refresh.
   */
  all() {
    const people = new Map(BUILT_IN.map((person) => [person.email, person]));
    for (const person of this.#fromFile()) {
      const email = person.email.toLowerCase();
      people.set(email, { sub: email, name: email, groups: [], ...person, email });
    }
    return [...people.values()];
  }

  byEmail(email) {
    const wanted = email.trim().toLowerCase();
    return this.all().find((person) => person.email === wanted);
  }

  /** The account in the form that the provider asks for, undefined for a person who is gone. */
  account(sub) {
    const person = this.all().find((each) => each.sub === sub);
    if (!person) return undefined;
    const claims = {
      sub,
      email: person.email,
      email_verified: true,
      name: person.name,
      // As the file says it, of any type: applications meet strings and objects here, and tests want them.
      [this.#groupsClaim]: person.groups,
    };
    return { accountId: sub, claims: () => claims };
  }

  #fromFile() {
    if (!this.#file) return [];
    let list;
    try {
      list = JSON.parse(readFileSync(this.#file, "utf8"));
    } catch (error) {
      throw new Error(`cannot read the users from ${this.#file}: ${error.message}`);
    }
    if (!Array.isArray(list) || list.some((person) => typeof person?.email !== "string")) {
      throw new Error(`${this.#file} must hold a JSON list of objects, each with an "email"`);
    }
    return list;
  }
}
