import Button from "@kit/Button";
import { sentence } from "@/components/ErrorNotice";
import { count, number } from "@/lib/count";
import { visible } from "@/lib/visible";
import type { Bulk } from "./useBulk";

const SHOWN_FAILURES = 100;

/** How far a bulk change is; afterwards, what did not work and why. */
export function BulkBar({ bulk }: { bulk: Bulk }) {
  const { job } = bulk;
  if (job === null) return null;
  const { total, done, failed, left } = job.progress;
  const doing = job.what.action === "remove" ? "Removing" : "Updating";
  if (job.running) {
    const text = `${number(done)} of ${number(total)}`;
    return (
      <section className="bulk" aria-label={`${doing} clusters`}>
        <p className="bulk__text" role="status">
          {doing} clusters: {text}
          {failed.length > 0 && `, ${number(failed.length)} failed`}
        </p>
        <progress className="bulk__bar" max={total} value={done} aria-label={`${doing} clusters`} />
        <Button type="button" dense onClick={bulk.stop}>
          Stop
        </Button>
      </section>
    );
  }
  const missed = failed.length + left.length;
  return (
    <section className="bulk is-failed" aria-label="Clusters that were not changed">
      <div className="bulk__result" role="alert">
        <p className="bulk__text">
          {number(total - missed)} of {number(total)} done
          {failed.length > 0 && `, ${number(failed.length)} failed`}
          {left.length > 0 && `, ${number(left.length)} not tried`}.
        </p>
      </div>
      <Button type="button" dense onClick={bulk.retry}>
        {failed.length > 0 ? "Retry failed" : "Go on"}
      </Button>
      <Button type="button" dense appearance="base" onClick={bulk.dismiss}>
        Dismiss
      </Button>
      {failed.length > 0 && (
        <details className="bulk__details" open={failed.length <= 5}>
          <summary>{count(failed.length, "failure")}</summary>
          <ul>
            {failed.slice(0, SHOWN_FAILURES).map(({ name, status, error }) => (
              <li key={name}>
                <strong className="breakable">{visible(name)}</strong>: {sentence(error ?? `Status ${status}`)}
              </li>
            ))}
            {failed.length > SHOWN_FAILURES && <li>and {number(failed.length - SHOWN_FAILURES)} more</li>}
          </ul>
        </details>
      )}
    </section>
  );
}
