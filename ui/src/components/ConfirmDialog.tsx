import { useState, type ReactNode } from "react";
import Button from "@kit/Button";
import Modal from "@kit/Modal";
import Notification from "@kit/Notifications/Notification";
import { errorText } from "./ErrorNotice";
import { useReturnFocus } from "./focus";

interface Props {
  title: string;
  confirmLabel: string;
  children: ReactNode;
  /** Something that the person has to type first. */
  typed?: { label: string; expected: string };
  /** Does the work; the dialog stays open with the reason if it fails. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something is taken away. */
export function ConfirmDialog({ title, confirmLabel, children, typed, onConfirm, onClose }: Props) {
  const [busy, setBusy] = useState(false);
  const [text, setText] = useState("");
  const ready = typed === undefined || text.trim() === typed.expected;
  const [problem, setProblem] = useState<string | null>(null);
  useReturnFocus();

  const confirm = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setProblem(errorText(error));
      setBusy(false);
    }
  };

  return (
    <Modal
      title={title}
      close={onClose}
      className="confirm-dialog"
      buttonRow={
        <>
          <Button type="button" onClick={onClose}>
            Cancel
          </Button>
          <Button type="button" appearance="negative" disabled={busy || !ready} onClick={() => void confirm()}>
            {confirmLabel}
          </Button>
        </>
      }
    >
      {problem !== null && (
        <Notification severity="negative" title="That did not work" titleElement="h3" role="alert">
          {problem}
        </Notification>
      )}
      {children}
      {typed !== undefined && (
        <label className="confirm-dialog__typed">
          {typed.label}
          <input type="text" autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} />
        </label>
      )}
    </Modal>
  );
}
