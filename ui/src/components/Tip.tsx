import { useCallback, useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Floating } from "./Floating";

const DELAY_MS = 150;

interface Props {
  message: ReactNode;
  /** Takes the id of the open tooltip for `aria-describedby`. */
  children: ReactNode | ((describedBy: string | undefined) => ReactNode);
}

/** Shows more about its content on hover, and on focus where the content is a button. Escape takes it away. */
export function Tip({ message, children }: Props) {
  const id = useId();
  const anchor = useRef<HTMLSpanElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [open, setOpen] = useState(false);

  const show = (delay: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setOpen(true), delay);
  };
  const hide = useCallback(() => {
    clearTimeout(timer.current);
    setOpen(false);
  }, []);

  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") hide();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [open, hide]);

  return (
    <span
      className="tip"
      ref={anchor}
      onMouseEnter={() => show(DELAY_MS)}
      onMouseLeave={hide}
      onFocus={() => show(0)}
      onBlur={hide}
      onClick={() => show(0)}
    >
      {typeof children === "function" ? children(open ? id : undefined) : children}
      {open && (
        <Floating anchor={anchor} placement="below" className="tip__message" id={id} role="tooltip" onClose={hide}>
          {message}
        </Floating>
      )}
    </span>
  );
}
