import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import type { Instance } from "@/api/lxd";
import { changeInstance, instancesQuery, type InstanceAction } from "@/api/tunnel";
import { errorText } from "@/components/ErrorNotice";
import { useToasts } from "@/components/Toasts";
import { count } from "@/lib/count";

export interface InstanceJob {
  action: InstanceAction;
  force: boolean;
  total: number;
  done: number;
  /** Not finished within a minute: it may still end well. */
  still: Instance[];
  failed: { instance: Instance; reason: string }[];
  running: boolean;
}

const WORDS: Record<InstanceAction, [string, string]> = {
  start: ["Starting", "Started"],
  stop: ["Stopping", "Stopped"],
  restart: ["Restarting", "Restarted"],
  freeze: ["Freezing", "Froze"],
  unfreeze: ["Unfreezing", "Unfroze"],
};

export const doingText = (action: InstanceAction) => WORDS[action][0];

export interface InstanceJobs {
  job: InstanceJob | null;
  start: (action: InstanceAction, instances: readonly Instance[], force: boolean) => void;
  dismiss: () => void;
}

/** Changes the state of instances, each with a result of its own; nothing is repeated by itself. */
export function useInstanceJobs(cluster: string): InstanceJobs {
  const client = useQueryClient();
  const { toast } = useToasts();
  const [job, setJob] = useState<InstanceJob | null>(null);

  const { mutate } = useMutation({
    mutationFn: async (order: { action: InstanceAction; instances: readonly Instance[]; force: boolean }) => {
      const { action, instances, force } = order;
      const now: InstanceJob = {
        action,
        force,
        total: instances.length,
        done: 0,
        still: [],
        failed: [],
        running: true,
      };
      const show = () => setJob({ ...now, still: [...now.still], failed: [...now.failed] });
      show();
      await Promise.all(
        instances.map(async (instance) => {
          try {
            const outcome = await changeInstance(cluster, instance, action, force);
            if (outcome === "still running") now.still.push(instance);
          } catch (error) {
            now.failed.push({ instance, reason: errorText(error) });
          }
          now.done += 1;
          show();
        }),
      );
      return { ...now, running: false };
    },
    onSuccess: (ended) => {
      const good = ended.total - ended.failed.length - ended.still.length;
      if (good > 0) toast("positive", `${WORDS[ended.action][1]} ${count(good, "instance")}.`);
      setJob(good === ended.total ? null : ended);
    },
    onSettled: () => void client.invalidateQueries(instancesQuery(cluster)),
  });
  const start = useCallback<InstanceJobs["start"]>(
    (action, instances, force) => mutate({ action, instances, force }),
    [mutate],
  );
  return { job, start, dismiss: () => setJob(null) };
}
