import { count } from "@/lib/count";
import { visible } from "@/lib/visible";
import { ConfirmDialog } from "./ConfirmDialog";

/** So many clusters are removed with one click at most; for more the number has to be typed. */
const WITHOUT_TYPING = 5;

interface Props {
  names: readonly string[];
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

export function RemoveDialog({ names, onConfirm, onClose }: Props) {
  const [only] = names;
  const single = names.length === 1;
  return (
    <ConfirmDialog
      title="Confirm remove"
      confirmLabel={single ? "Confirm remove" : "Remove"}
      onConfirm={onConfirm}
      onClose={onClose}
      {...(names.length > WITHOUT_TYPING
        ? { typed: { label: `Type ${names.length} to confirm`, expected: String(names.length) } }
        : {})}
    >
      <p>
        This takes{" "}
        {single ? (
          <>
            the cluster <strong>{visible(only ?? "")}</strong>
          </>
        ) : (
          <strong>{count(names.length, "cluster")}</strong>
        )}{" "}
        out of the Cluster Manager. {single ? "The MicroCloud itself and its" : "The MicroClouds themselves and their"}{" "}
        instances keep running; {single ? "it is" : "they are"} only un-enrolled and can be enrolled again with a new
        token.
      </p>
      {!single && names.length <= WITHOUT_TYPING && (
        <ul>
          {names.map((name) => (
            <li key={name}>{visible(name)}</li>
          ))}
        </ul>
      )}
    </ConfirmDialog>
  );
}
