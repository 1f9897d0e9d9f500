import { useEffect, useRef, useState } from "react";
import Icon from "@kit/Icon";
import { useToasts, type Severity } from "@/components/Toasts";
import { count } from "@/lib/count";
import { timeText } from "@/lib/dates";

const ICONS: Record<Severity, string> = {
  positive: "success",
  negative: "error",
  caution: "warning",
  information: "information",
};

/** The line at the bottom: the server's version and what happened while the page was open. */
export function StatusBar({ version }: { version: string | undefined }) {
  const { toasts, settle, clear } = useToasts();
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [open]);

  const shown = open && toasts.length > 0;
  const severities = (Object.keys(ICONS) as Severity[]).filter((one) => toasts.some((toast) => toast.severity === one));
  return (
    <footer className="status-bar">
      <span className="status-bar__version">{version !== undefined && version !== "" && `Version ${version}`}</span>
      {shown && (
        <section className="status-bar__list" aria-label="Notifications" id="past-notifications">
          <ul className="status-bar__items">
            {toasts.map(({ id, severity, text, at }) => (
              <li key={id} className="status-bar__item">
                <Icon name={ICONS[severity]}>{severity}</Icon>
                <span>{text}</span>
                <time className="u-text--muted" dateTime={new Date(at).toISOString()}>
                  {timeText(at)}
                </time>
              </li>
            ))}
          </ul>
          <button
            type="button"
            className="p-button--link u-no-margin--bottom"
            onClick={() => {
              clear();
              setOpen(false);
            }}
          >
            Dismiss all
          </button>
        </section>
      )}
      {toasts.length > 0 && (
        <button
          type="button"
          className="status-bar__button"
          ref={button}
          aria-expanded={shown}
          aria-controls="past-notifications"
          onClick={() => {
            // The list has them all: nothing needs to lie above it.
            toasts.filter((toast) => toast.fresh).forEach((toast) => settle(toast.id));
            setOpen(!open);
          }}
        >
          {severities.map((severity) => (
            <Icon key={severity} name={ICONS[severity]} />
          ))}
          {count(toasts.length, "notification")}
        </button>
      )}
    </footer>
  );
}
