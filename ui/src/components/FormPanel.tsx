import { useCallback, useState, type ReactNode } from "react";
import Button from "@kit/Button";
import Notification from "@kit/Notifications/Notification";
import { ConfirmDialog } from "./ConfirmDialog";
import { errorText } from "./ErrorNotice";
import { SidePanel } from "./SidePanel";

interface Props {
  title: string;
  submitLabel: string;
  /** Whether something would be lost by closing. */
  dirty: boolean;
  busy: boolean;
  canSubmit?: boolean;
  /** What the question says that is asked before typed text is thrown away. */
  discard: { title: string; text: string };
  /** A failure that is about no field of its own. */
  problem?: { title: string; error: Error } | null;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** A form in a side panel: `Cancel`, a button that sends it, and a question before typed text is lost. */
export function FormPanel(props: Props) {
  const { title, submitLabel, dirty, busy, canSubmit = true, discard, problem, onSubmit, onClose, children } = props;
  const [asking, setAsking] = useState(false);
  const close = useCallback(() => {
    if (dirty) setAsking(true);
    else onClose();
  }, [dirty, onClose]);

  return (
    <SidePanel title={title} onClose={close}>
      <form
        className="side-panel__form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          // Enter sends the form whatever its button looks like.
          if (!busy && canSubmit) onSubmit();
        }}
      >
        <div className="side-panel__body">
          {problem && (
            <Notification severity="negative" title={problem.title} titleElement="h3" role="alert">
              {errorText(problem.error)}
            </Notification>
          )}
          {children}
        </div>
        <div className="side-panel__foot">
          <Button type="button" appearance="base" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" appearance="positive" disabled={busy || !canSubmit}>
            {submitLabel}
          </Button>
        </div>
      </form>
      {asking && (
        <ConfirmDialog
          title={discard.title}
          confirmLabel="Discard"
          onConfirm={() => {
            onClose();
            return Promise.resolve();
          }}
          onClose={() => setAsking(false)}
        >
          <p>{discard.text}</p>
        </ConfirmDialog>
      )}
    </SidePanel>
  );
}
