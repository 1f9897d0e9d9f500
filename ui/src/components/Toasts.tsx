import { createContext, use, useCallback, useMemo, useState, type ReactNode } from "react";

export type Severity = "positive" | "negative" | "caution" | "information";

export interface Toast {
  id: number;
  severity: Severity;
  text: string;
  /** Milliseconds by the browser's clock. */
  at: number;
  /** False once it has left the corner of the page; it stays in the list of notifications. */
  fresh: boolean;
}

interface Toasts {
  toasts: readonly Toast[];
  toast: (severity: Severity, text: string) => void;
  /** Takes a toast out of the corner. */
  settle: (id: number) => void;
  clear: () => void;
}

const Context = createContext<Toasts | null>(null);
const KEPT = 50;
let lastId = 0;

/** Keeps what happened while the page is open: short messages, and the list of past ones. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);

  const toast = useCallback((severity: Severity, text: string) => {
    lastId += 1;
    const added: Toast = { id: lastId, severity, text, at: Date.now(), fresh: true };
    setToasts((before) => [added, ...before].slice(0, KEPT));
  }, []);
  const settle = useCallback((id: number) => {
    setToasts((before) => before.map((one) => (one.id === id ? { ...one, fresh: false } : one)));
  }, []);
  const clear = useCallback(() => setToasts([]), []);

  const value = useMemo(() => ({ toasts, toast, settle, clear }), [toasts, toast, settle, clear]);
  return <Context value={value}>{children}</Context>;
}

export function useToasts(): Toasts {
  const toasts = use(Context);
  if (toasts === null) throw new Error("useToasts needs a ToastProvider above it");
  return toasts;
}
