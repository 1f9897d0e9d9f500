import Button from "@kit/Button";
import Notification from "@kit/Notifications/Notification";
import { ApiError } from "@/api/client";
import { visible } from "@/lib/visible";
import { advice } from "@/lib/advice";
import { useNowText } from "./useNow";

/** An error in one sentence, with the id under which the server's log has it. */
export function errorText(error: unknown): string {
  if (error instanceof ApiError) {
    const id = error.requestId === "" ? "" : `(Request id ${error.requestId}.)`;
    // The server's one word for it says less than the dialog that appears with it.
    const ended = error.status === 401 && /^unauthorized$/i.test(error.message);
    const message = ended ? "The session has ended: log in again." : sentence(error.message);
    return [message, advice(error), ended ? "" : id].filter((part) => part !== "").join(" ");
  }
  return error instanceof Error ? sentence(error.message) : "Something went wrong.";
}

/** The server's texts begin in lower case and have no full stop. */
export function sentence(text: string): string {
  const trimmed = visible(text.trim());
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${/[.!?]$/.test(trimmed) ? "" : "."}`;
}

interface Props {
  /** What did not work, such as `The clusters could not be loaded`. */
  title: string;
  error: Error;
  busy: boolean;
  onRetry: () => void;
  /** When the page tries again by itself, in milliseconds by the browser's clock. */
  nextAttemptAt?: number;
}

/** Says what failed, in the server's words, and offers another attempt. */
export function ErrorNotice({ title, error, busy, onRetry, nextAttemptAt }: Props) {
  const unreachable = error instanceof ApiError && error.status === 0;
  return (
    <Notification
      severity={unreachable ? "caution" : "negative"}
      title={unreachable ? "No connection to the server" : title}
      titleElement="h2"
      messageElement="div"
      role="alert"
      className="error-notice"
    >
      <p className="u-no-margin--bottom">
        {unreachable ? `${title}: check the network.` : errorText(error)}{" "}
        {nextAttemptAt !== undefined && (
          <span aria-hidden="true">{busy ? "Trying again…" : <Countdown to={nextAttemptAt} />}</span>
        )}
      </p>
      <Button type="button" dense disabled={busy} onClick={onRetry}>
        Try again
      </Button>
    </Notification>
  );
}

function Countdown({ to }: { to: number }) {
  return useNowText(() => `Trying again in ${Math.max(0, Math.ceil((to - Date.now()) / 1000))} s.`);
}
