import { useCallback, useEffect, useId, useRef, useState, type ReactNode } from "react";
import Button from "@kit/Button";
import { Floating } from "./Floating";

interface Props {
  label: string;
  icon?: ReactNode;
  /** Shows the icon alone; the label is its name. */
  iconOnly?: boolean;
  className?: string;
  children: ReactNode | ((close: () => void) => ReactNode);
}

/** A button that opens a small group of controls. Escape and a click elsewhere close it. */
export function Popover({ label, icon, iconOnly = false, className, children }: Props) {
  const id = useId();
  const anchor = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState(false);
  const close = useCallback(() => setOpen(false), []);

  useEffect(() => {
    if (!open) return;
    const within = () => anchor.current?.querySelector<HTMLElement>(".popover");
    within()?.querySelector<HTMLElement>("input, button, a, select")?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && anchor.current?.contains(event.target) === false) close();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      anchor.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", onKey, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", onKey, true);
    };
  }, [open, close]);

  return (
    <span ref={anchor} className={className}>
      <Button
        type="button"
        appearance="base"
        dense
        hasIcon={icon !== undefined}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        title={iconOnly ? label : undefined}
        onClick={() => setOpen(!open)}
      >
        {icon}
        <span className={iconOnly ? "u-off-screen" : undefined}>{label}</span>
      </Button>
      {open && (
        <Floating
          anchor={anchor}
          placement="below"
          className="popover"
          id={id}
          role="group"
          label={label}
          onClose={close}
        >
          {typeof children === "function" ? children(close) : children}
        </Floating>
      )}
    </span>
  );
}
