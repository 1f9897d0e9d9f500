/** What a kind of warning says where its details are not at hand. A kind that this release does not know keeps its name. */
const KINDS: Record<string, string> = {
  pool: "Storage pool over its threshold",
  memory: "Memory over its threshold",
  members: "Members not online",
  instances: "Instances in error state",
  heartbeat: "No heartbeat",
  ceph: "Ceph services with problems",
  certificate: "Certificate expires soon",
  clock: "Clock differs",
};

export function warningKindText(kind: string): string {
  return KINDS[kind] ?? kind;
}
