import Modal from "@kit/Modal";
import Button from "@kit/Button";
import { useReturnFocus } from "@/components/focus";

const KEYS: readonly [string, string][] = [
  ["/", "Search"],
  ["g o", "Go to the overview"],
  ["g c", "Go to the clusters"],
  ["g t", "Go to the tokens"],
  ["g s", "Go to the settings"],
  ["e", "Enrol a cluster"],
  ["r", "Refresh"],
  ["j, k", "Next, previous row"],
  ["x", "Select the row"],
  ["Enter", "Open the row"],
  ["Ctrl+K", "Find a cluster, a token or a page"],
  ["?", "This list"],
];

export default function ShortcutList({ onClose }: { onClose: () => void }) {
  useReturnFocus();
  return (
    <Modal
      title="Keyboard shortcuts"
      close={onClose}
      className="confirm-dialog"
      buttonRow={
        <Button type="button" onClick={onClose}>
          Close
        </Button>
      }
    >
      <dl className="shortcuts">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <p className="u-text--muted">They can be switched off in the settings.</p>
    </Modal>
  );
}
