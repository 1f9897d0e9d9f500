import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { clusterQuery, configurationQuery, REFRESH_MS } from "@/api/queries";
import { MoreIcon } from "@/components/icons";
import { Menu, type MenuEntry } from "@/components/Menu";
import { useRights } from "@/components/useRights";
import { safeUrl } from "@/lib/clusterRow";
import { metricsAddress } from "@/lib/grafana";
import { visible } from "@/lib/visible";

export interface RowActions {
  onConfigure: (name: string) => void;
  onRemove: (name: string, skipQuestion: boolean) => void;
}

/**
 * What can be done with one cluster. The address of its LXD UI is not in the compact rows: it is asked for when the
 * pointer or the focus comes near, and its entry is the last one, so that nothing moves under the pointer.
 */
export function RowMenu({ name, onConfigure, onRemove }: { name: string } & RowActions) {
  const { mayChange, mayAdminister } = useRights();
  const [near, setNear] = useState(false);
  const cluster = useQuery({ ...clusterQuery(name), enabled: near, staleTime: REFRESH_MS }).data;
  const configuration = useQuery({ ...configurationQuery, enabled: false }).data;
  const metrics = metricsAddress(configuration?.["grafana_base_url"]?.value, name);
  const lxd = safeUrl(cluster?.ui_url ?? "");

  const entries: MenuEntry[] = [];
  if (mayChange) entries.push({ label: "Configure", onClick: () => onConfigure(name) });
  if (metrics !== null) entries.push({ label: "Metrics", href: metrics });
  if (mayAdminister) entries.push({ label: "Remove", onClick: (event) => onRemove(name, event.shiftKey) });
  if (lxd !== "") entries.push({ label: "LXD UI", href: lxd });
  if (entries.length === 0 && near && cluster !== undefined) return null;
  return (
    <Menu
      label={`Actions for ${visible(name)}`}
      icon={<MoreIcon />}
      entries={entries}
      onApproach={() => setNear(true)}
    />
  );
}
