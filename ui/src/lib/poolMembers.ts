import type { StoragePool } from "@/api/types";
import { percentOf } from "./size";
import { compareText } from "./sorting";

export interface PoolMember {
  name: string;
  /** How many pools it has. */
  pools: number;
  fullest: { pool: string; percent: number };
}

/** The members that have pools of their own, by name. */
export function membersOf(pools: readonly StoragePool[]): PoolMember[] {
  const members = new Map<string, PoolMember>();
  for (const { name: pool, member, usage, total } of pools) {
    if (member === "") continue;
    const percent = percentOf(usage, total);
    const known = members.get(member);
    if (known === undefined) members.set(member, { name: member, pools: 1, fullest: { pool, percent } });
    else {
      known.pools += 1;
      if (percent > known.fullest.percent) known.fullest = { pool, percent };
    }
  }
  return [...members.values()].sort((a, b) => compareText(a.name, b.name));
}
