import { Menu, type MenuEntry } from "@/components/Menu";
import { MoreIcon } from "@/components/icons";
import type { ClusterRow } from "@/lib/clusterRow";

interface Props {
  row: ClusterRow;
  onRemove: (name: string, skipQuestion: boolean) => void;
}

/** What can be done with one cluster. */
export function RowMenu({ row, onRemove }: Props) {
  const entries: MenuEntry[] = [{ label: "Remove", onClick: (event) => onRemove(row.name, event.shiftKey) }];
  if (row.uiUrl !== "") entries.unshift({ label: "LXD UI", href: row.uiUrl });
  return <Menu label={`Actions for ${row.name}`} icon={<MoreIcon />} entries={entries} />;
}
