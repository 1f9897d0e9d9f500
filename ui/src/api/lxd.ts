// What a cluster's LXD answers, read with care: the answer is that of another program, of any release, and the cluster may not
// mean well. LXD publishes no types for TypeScript, and what is needed of its answers is little: it is checked here.

/** An instance as LXD lists it; texts that are missing, or something else, are empty. */
export interface Instance {
  name: string;
  project: string;
  /** `container` or `virtual-machine`. */
  type: string;
  status: string;
  location: string;
  created_at: string;
  last_used_at: string;
}

export interface InstanceList {
  instances: Instance[];
  /** Entries of the answer that are not instances, or that were there before. */
  leftOut: number;
}

export interface Operation {
  id: string;
  status: string;
  /** Why it failed; empty if it did not say. */
  err: string;
}

/** Names are unique within a project only; neither has a slash. */
export const keyOf = ({ name, project }: Pick<Instance, "name" | "project">) => `${project}/${name}`;

/** The instances of an answer; null if it is no list. LXD writes null for a list without entries. */
export function readInstances(answer: unknown): InstanceList | null {
  if (answer === null || answer === undefined) return { instances: [], leftOut: 0 };
  if (!Array.isArray(answer)) return null;
  const instances = new Map<string, Instance>();
  for (const entry of answer) {
    const instance = readInstance(textsOf(entry));
    if (instance !== null && !instances.has(keyOf(instance))) instances.set(keyOf(instance), instance);
  }
  return { instances: [...instances.values()], leftOut: answer.length - instances.size };
}

/** Without a name an instance can be neither shown nor changed. */
function readInstance(text: Texts): Instance | null {
  const name = text("name");
  if (name === "") return null;
  return {
    name,
    project: text("project") || "default",
    type: text("type"),
    status: text("status"),
    location: text("location"),
    created_at: text("created_at"),
    last_used_at: text("last_used_at"),
  };
}

/** An operation that LXD works on; null if the answer is none. */
export function readOperation(answer: unknown): Operation | null {
  const text = textsOf(answer);
  const id = text("id");
  return id === "" ? null : { id, status: text("status"), err: text("err") };
}

type Texts = (key: string) => string;

/** Reads texts of something that should be an object: empty for whatever is not a text. */
function textsOf(value: unknown): Texts {
  const fields = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  return (key) => {
    const found = fields[key];
    return typeof found === "string" ? found : "";
  };
}
