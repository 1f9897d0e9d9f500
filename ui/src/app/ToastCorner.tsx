import { useEffect, useState } from "react";
import Notification from "@kit/Notifications/Notification";
import { useToasts, type Toast } from "@/components/Toasts";

const SHOWN_MS = 5000;

/** New messages, in the corner for five seconds, longer while the pointer or the focus is on them. */
export function ToastCorner() {
  const { toasts, settle } = useToasts();
  return (
    <div className="toasts" role="status">
      {toasts
        .filter((toast) => toast.fresh)
        .map((toast) => (
          <OneToast key={toast.id} toast={toast} onEnd={settle} />
        ))}
    </div>
  );
}

function OneToast({ toast, onEnd }: { toast: Toast; onEnd: (id: number) => void }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => onEnd(toast.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [held, onEnd, toast.id]);
  return (
    <div
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <Notification severity={toast.severity} className="toast" onDismiss={() => onEnd(toast.id)}>
        {toast.text}
      </Notification>
    </div>
  );
}
