import { ConfirmDialog } from "@/components/ConfirmDialog";

interface Props {
  name: string;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

export function RemoveDialog({ name, onConfirm, onClose }: Props) {
  return (
    <ConfirmDialog title="Confirm remove" confirmLabel="Confirm remove" onConfirm={onConfirm} onClose={onClose}>
      <p>
        This takes the cluster <strong>{name}</strong> out of the Cluster Manager. The MicroCloud itself and its
        instances keep running; it is only un-enrolled and can be enrolled again with a new token.
      </p>
    </ConfirmDialog>
  );
}
