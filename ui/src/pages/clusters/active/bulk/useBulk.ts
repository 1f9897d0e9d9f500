import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { bulk, fleetQuery } from "@/api/fleet";
import type { BulkAction } from "@/api/types";
import { detailsQuery } from "@/api/queries";
import { useToasts } from "@/components/Toasts";
import { runBulk, type Progress } from "@/lib/bulk";
import { count } from "@/lib/count";

export interface BulkJob {
  what: BulkAction;
  progress: Progress;
  running: boolean;
}

export interface Bulk {
  /** What is under way, or ended with something to tell. */
  job: BulkJob | null;
  start: (what: BulkAction, names: readonly string[]) => void;
  stop: () => void;
  /** Once more with what failed and what was left. */
  retry: () => void;
  dismiss: () => void;
}

/** Changes or removes many clusters. `onDone` is told the names that went well. */
export function useBulk(onDone: (failed: readonly string[]) => void): Bulk {
  const client = useQueryClient();
  const { toast } = useToasts();
  const [job, setJob] = useState<BulkJob | null>(null);
  const stopping = useRef<AbortController | null>(null);
  const running = job?.running ?? false;

  // Whoever leaves the page meanwhile is asked; what is not sent yet would be lost.
  useEffect(() => {
    if (!running) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [running]);
  useEffect(() => () => stopping.current?.abort(), []);

  const { mutate } = useMutation({
    mutationFn: async ({ what, names }: { what: BulkAction; names: readonly string[] }) => {
      const stop = new AbortController();
      stopping.current = stop;
      const show = (progress: Progress) => setJob({ what, progress, running: true });
      show({ total: names.length, done: 0, failed: [], left: [] });
      return runBulk(names, (part) => bulk(part, what), stop.signal, show);
    },
    onSuccess: (progress, { what }) => {
      const good = progress.done - progress.failed.length;
      if (good > 0) toast("positive", `${what.action === "remove" ? "Removed" : "Updated"} ${count(good, "cluster")}.`);
      const complete = progress.failed.length === 0 && progress.left.length === 0;
      setJob(complete ? null : { what, progress, running: false });
      onDone([...progress.failed.map(({ name }) => name), ...progress.left]);
    },
    onSettled: () => {
      for (const { queryKey } of [fleetQuery, detailsQuery]) void client.invalidateQueries({ queryKey });
      void client.invalidateQueries({ queryKey: ["cluster"] });
    },
  });

  const start = useCallback<Bulk["start"]>((what, names) => mutate({ what, names }), [mutate]);
  const retry = () => {
    if (job === null) return;
    start(job.what, [...job.progress.failed.map(({ name }) => name), ...job.progress.left]);
  };
  return { job, start, stop: () => stopping.current?.abort(), retry, dismiss: () => setJob(null) };
}
