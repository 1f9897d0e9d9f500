import Button from "@kit/Button";
import Notification from "@kit/Notifications/Notification";
import type { ClusterWarning } from "@/api/types";
import type { FocusField } from "@/components/usePanel";
import { warningText } from "@/lib/warnings";
import { useClusterContext } from "./context";

/** Warnings whose threshold can be changed, with the field that changes it. */
const FIELDS: Partial<Record<ClusterWarning["kind"], FocusField>> = {
  pool: "diskThreshold",
  memory: "memoryThreshold",
};

/** Warnings as the server found them; those about a threshold lead to it. */
export function WarningList({ warnings, most = Infinity }: { warnings: readonly ClusterWarning[]; most?: number }) {
  const { mayChange, configure } = useClusterContext();
  return warnings.slice(0, most).map((warning) => {
    const field = FIELDS[warning.kind];
    const text = warningText(warning);
    return (
      <Notification key={text} severity="caution" className="u-no-margin--bottom">
        {text}
        {mayChange && field !== undefined && (
          <Button type="button" appearance="link" className="warning-action" onClick={() => configure(field)}>
            Configure threshold
          </Button>
        )}
      </Notification>
    );
  });
}
