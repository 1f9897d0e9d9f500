import type { Cluster, ClusterChanges } from "@/api/types";

/** The form's fields: texts, as they are typed. */
export interface Fields {
  disk: string;
  memory: string;
  description: string;
  uiUrl: string;
}

export const THRESHOLD_HELP = "A whole number from 1 to 100. Above it the cluster gets a warning.";

/** What is wrong with a threshold; true if it is good. */
export function checkThreshold(text: string): string | true {
  if (text.trim() === "") return "Enter a percentage.";
  return /^\d{1,3}$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= 100
    ? true
    : "The threshold must be a whole number from 1 to 100.";
}

/** Only addresses that a browser may open from here. */
export function checkUrl(text: string): string | true {
  const trimmed = text.trim();
  if (trimmed === "") return true;
  return URL.canParse(trimmed) && /^https?:\/\//i.test(trimmed)
    ? true
    : "Enter an address that begins with https://, or leave the field empty.";
}

export function fieldsOf(cluster: Cluster): Fields {
  return {
    disk: String(cluster.disk_threshold),
    memory: String(cluster.memory_threshold),
    description: cluster.description,
    uiUrl: cluster.ui_url_override,
  };
}

/** What was changed and nothing else: what is not sent stays as it is, whatever somebody else did meanwhile. */
export function changesOf(before: Fields, after: Fields): ClusterChanges {
  return {
    ...(Number(before.disk) === Number(after.disk) ? {} : { disk_threshold: Number(after.disk) }),
    ...(Number(before.memory) === Number(after.memory) ? {} : { memory_threshold: Number(after.memory) }),
    ...(before.description === after.description ? {} : { description: after.description }),
    ...(before.uiUrl === after.uiUrl.trim() ? {} : { ui_url: after.uiUrl.trim() }),
  };
}

/** The field that a refusal of the server is about; null if it is about none of them. */
export function fieldOf(message: string): keyof Fields | null {
  if (/disk/i.test(message)) return "disk";
  if (/memory/i.test(message)) return "memory";
  if (/description/i.test(message)) return "description";
  return /ui[_ ]url|address/i.test(message) ? "uiUrl" : null;
}
