// What a cluster's LXD answers, read with care: the answer is that of another program, of any release, and the cluster may not
// mean well. LXD publishes no types for TypeScript; what is needed of its answers is little, and is checked here.
import * as v from "valibot";

/** A text; empty where there is something else, or nothing. */
const text = v.fallback(v.string(), "");

const instance = v.object({
  // Without a name an instance can be neither shown nor changed.
  name: v.pipe(v.string(), v.nonEmpty()),
  project: v.fallback(v.pipe(v.string(), v.nonEmpty()), "default"),
  /** `container` or `virtual-machine`. */
  type: text,
  status: text,
  location: text,
  created_at: text,
  last_used_at: text,
});

/** An instance as LXD lists it. */
export type Instance = v.InferOutput<typeof instance>;

export interface InstanceList {
  instances: Instance[];
  /** Entries of the answer that are not instances, or that were there before. */
  leftOut: number;
}

/** Names are unique within a project only; neither has a slash. */
export const keyOf = ({ name, project }: Pick<Instance, "name" | "project">) => `${project}/${name}`;

/** The instances of an answer; null if it is no list. LXD writes null for a list without entries. */
export function readInstances(answer: unknown): InstanceList | null {
  if (answer === null || answer === undefined) return { instances: [], leftOut: 0 };
  if (!Array.isArray(answer)) return null;
  const instances = new Map<string, Instance>();
  for (const entry of answer as unknown[]) {
    const read = v.safeParse(instance, entry);
    if (read.success && !instances.has(keyOf(read.output))) instances.set(keyOf(read.output), read.output);
  }
  return { instances: [...instances.values()], leftOut: answer.length - instances.size };
}

const operation = v.object({ id: v.pipe(v.string(), v.nonEmpty()), status: text, err: text });

/** An operation that LXD works on; null if the answer is none. */
export function readOperation(answer: unknown): v.InferOutput<typeof operation> | null {
  const read = v.safeParse(operation, answer);
  return read.success ? read.output : null;
}
