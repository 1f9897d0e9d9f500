import { ConfirmDialog } from "@/components/ConfirmDialog";
import { count } from "@/lib/count";
import { visible } from "@/lib/visible";

interface Props {
  names: readonly string[];
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

export function RevokeDialog({ names, onConfirm, onClose }: Props) {
  return (
    <ConfirmDialog title="Confirm revoke" confirmLabel="Revoke" onConfirm={onConfirm} onClose={onClose}>
      <p>
        {names.length === 1 ? (
          <>
            This revokes the join token of <strong>{visible(names[0] ?? "")}</strong>.
          </>
        ) : (
          <>This revokes {count(names.length, "join token")}.</>
        )}{" "}
        No cluster can join with it any more. Clusters that are already enrolled are not affected.
      </p>
    </ConfirmDialog>
  );
}
