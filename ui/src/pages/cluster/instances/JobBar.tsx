import Button from "@kit/Button";
import { keyOf } from "@/api/lxd";
import { count, number } from "@/lib/count";
import { visible } from "@/lib/visible";
import { doingText, type InstanceJobs } from "./useInstanceJobs";

/** How far a change of instances is; afterwards, what did not work and why. */
export function JobBar({ jobs: { job, start, dismiss } }: { jobs: InstanceJobs }) {
  if (job === null) return null;
  const doing = doingText(job.action);
  if (job.running) {
    return (
      <section className="bulk" aria-label={`${doing} instances`}>
        <p className="bulk__text" role="status">
          {doing} instances: {number(job.done)} of {number(job.total)}
        </p>
        <progress className="bulk__bar" max={job.total} value={job.done} aria-label={`${doing} instances`} />
      </section>
    );
  }
  return (
    <section className="bulk is-failed" aria-label="Instances that need a look">
      <div className="bulk__result" role="alert">
        <p className="bulk__text">
          {doing}: {number(job.total - job.failed.length - job.still.length)} of {number(job.total)} done
          {job.failed.length > 0 && `, ${number(job.failed.length)} failed`}
          {job.still.length > 0 && `, ${number(job.still.length)} still running`}.
        </p>
      </div>
      {job.failed.length > 0 && (
        <Button
          type="button"
          dense
          onClick={() =>
            start(
              job.action,
              job.failed.map(({ instance }) => instance),
              job.force,
            )
          }
        >
          Retry failed
        </Button>
      )}
      <Button type="button" dense appearance="base" onClick={dismiss}>
        Dismiss
      </Button>
      {job.failed.length > 0 && (
        <details className="bulk__details" open={job.failed.length <= 5}>
          <summary>{count(job.failed.length, "failure")}</summary>
          <ul>
            {job.failed.map(({ instance, reason }) => (
              <li key={keyOf(instance)}>
                <strong className="breakable">{visible(instance.name)}</strong>: {visible(reason)}
              </li>
            ))}
          </ul>
        </details>
      )}
      {job.still.length > 0 && (
        <p className="bulk__details u-text--muted">
          Still running: {visible(job.still.map(({ name }) => name).join(", "))}. The list shows how they end.
        </p>
      )}
    </section>
  );
}
