import { useState } from "react";
import type { Instance } from "@/api/lxd";
import type { InstanceAction } from "@/api/tunnel";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { count } from "@/lib/count";
import { visible } from "@/lib/visible";
import { ACTION_LABELS } from "./labels";

const NAMED = 5;

interface Props {
  action: InstanceAction;
  instances: readonly Instance[];
  onConfirm: (force: boolean) => void;
  onClose: () => void;
}

/** Asks before instances are stopped or restarted. */
export function ConfirmAction({ action, instances, onConfirm, onClose }: Props) {
  const [force, setForce] = useState(false);
  const label = ACTION_LABELS[action];
  return (
    <ConfirmDialog
      title={`${label} ${instances.length === 1 ? visible(instances[0]?.name ?? "") : count(instances.length, "instance")}?`}
      confirmLabel={label}
      onConfirm={() => {
        onConfirm(force);
        return Promise.resolve();
      }}
      onClose={onClose}
    >
      <p>What runs in {instances.length === 1 ? "it" : "them"} is interrupted.</p>
      {instances.length > 1 && instances.length <= NAMED && (
        <ul>
          {instances.map((instance) => (
            <li key={`${instance.project}/${instance.name}`}>{visible(instance.name)}</li>
          ))}
        </ul>
      )}
      <label className="check-list__entry">
        <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
        <span>Force: do not wait for a clean shutdown</span>
      </label>
    </ConfirmDialog>
  );
}
