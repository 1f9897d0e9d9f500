/** What a kind of warning says where its details are not at hand. A kind that this release does not know keeps its name. */
const KINDS: Record<string, string> = {
  pool: "Pool over threshold",
  memory: "Memory over threshold",
  members: "Members not online",
  instances: "Instances in error",
  heartbeat: "No heartbeat",
  ceph: "Ceph problems",
  certificate: "Certificate expires soon",
  clock: "Clock differs",
};

export function warningKindText(kind: string): string {
  return KINDS[kind] ?? kind;
}
