import {
  useCallback,
  useEffect,
  useId,
  useRef,
  useState,
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
} from "react";
import Button from "@kit/Button";
import { Floating } from "./Floating";

export interface MenuEntry {
  label: string;
  /** Opens in a new tab. */
  href?: string;
  onClick?: (event: MouseEvent) => void;
}

interface Props {
  label: string;
  icon: ReactNode;
  entries: MenuEntry[];
  /** Told when somebody is about to open it, so that entries can be asked for. */
  onApproach?: () => void;
}

/** A button with a menu: arrow keys move, Enter chooses, Escape goes back to the button. */
export function Menu({ label, icon, entries, onApproach }: Props) {
  const id = useId();
  const anchor = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState(false);
  const close = useCallback(() => setOpen(false), []);
  const button = () => anchor.current?.querySelector("button");
  const items = () => [...(anchor.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];

  useEffect(() => {
    if (!open) return;
    items()[0]?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && anchor.current?.contains(event.target) === false) close();
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open, close]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    const all = items();
    const at = all.findIndex((item) => item === document.activeElement);
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all.at(to % all.length)?.focus();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      close();
      button()?.focus();
    } else if (event.key === "Tab") {
      close();
    }
  };
  const choose = (entry: MenuEntry) => (event: MouseEvent) => {
    button()?.focus();
    close();
    entry.onClick?.(event);
  };

  return (
    <span ref={anchor} className="menu" onKeyDown={onKeyDown} onPointerEnter={onApproach} onFocus={onApproach}>
      <Button
        type="button"
        appearance="base"
        hasIcon
        className="row-button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        title="Actions"
        onClick={() => setOpen(!open)}
      >
        {icon}
      </Button>
      {open && (
        <Floating
          anchor={anchor}
          placement="beside"
          className="menu__list"
          id={id}
          role="menu"
          label={label}
          onClose={close}
        >
          {entries.map((entry) =>
            entry.href === undefined ? (
              <button
                key={entry.label}
                type="button"
                role="menuitem"
                className="p-contextual-menu__link menu__entry"
                onClick={choose(entry)}
              >
                {entry.label}
              </button>
            ) : (
              <a
                key={entry.label}
                role="menuitem"
                className="p-contextual-menu__link menu__entry"
                href={entry.href}
                target="_blank"
                rel="noopener noreferrer"
                onClick={choose(entry)}
              >
                {entry.label}
              </a>
            ),
          )}
        </Floating>
      )}
    </span>
  );
}
