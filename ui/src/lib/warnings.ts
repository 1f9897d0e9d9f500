import type { ClusterWarning } from "@/api/types";
import { durationText } from "./age";
import { count } from "./count";
import { visible } from "./visible";

/** One sentence for a warning that the server found. A kind that this release does not know is named as it is. */
export function warningText(warning: ClusterWarning): string {
  switch (warning.kind) {
    case "pool": {
      const where = warning.member === "" ? "" : ` on ${visible(warning.member)}`;
      return `Storage pool ${visible(warning.name)}${where} is ${percent(warning.percent)} full, over the threshold of ${percent(warning.threshold)}`;
    }
    case "memory":
      return `Memory usage is ${percent(warning.percent)}, over the threshold of ${percent(warning.threshold)}`;
    case "members":
      return `${count(warning.count, "member is", "members are")} not online`;
    case "instances":
      return `${count(warning.count, "instance is", "instances are")} in error state`;
    case "heartbeat":
      return `No heartbeat for ${durationText(warning.minutes * 60)}`;
    case "ceph":
      return `${count(warning.count, "Ceph service has", "Ceph services have")} the status ${visible(warning.status)}`;
    case "certificate":
      return warning.days < 0
        ? "The cluster's certificate has ended: its heartbeats are refused"
        : `The cluster's certificate ends in ${count(warning.days, "day")}; heartbeats are refused from then on`;
    case "clock":
      return `The cluster's clock is at least ${durationText(warning.seconds)} ahead`;
    default:
      return `Warning of the kind “${visible((warning as { kind: string }).kind)}”`;
  }
}

/** A line never breaks between the number and its sign. */
function percent(n: number): string {
  return `${n}\u00a0%`;
}
