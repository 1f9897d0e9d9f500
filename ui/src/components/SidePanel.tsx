import { useEffect, useId, useRef, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { useMedia, useReturnFocus } from "./focus";

interface Props {
  title: string;
  /** Asked for by the cross and by Escape. */
  onClose: () => void;
  children: ReactNode;
}

/** A panel at the right edge, beside the page; on narrow screens it covers the page. */
export function SidePanel({ title, onClose, children }: Props) {
  const titleId = useId();
  const panel = useRef<HTMLElement>(null);
  const covers = useMedia("(max-width: 619.98px)");
  useReturnFocus();

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const elsewhere = document.querySelector("[aria-modal=true]") !== null;
      if (event.key === "Escape" && !elsewhere) onClose();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [onClose]);

  // Nothing behind the panel can be reached while it covers everything.
  useEffect(() => {
    const frame = document.querySelector<HTMLElement>(".frame");
    if (!covers || frame === null) return;
    frame.inert = true;
    return () => {
      frame.inert = false;
    };
  }, [covers]);

  return createPortal(
    <aside className="side-panel" aria-labelledby={titleId} ref={panel}>
      <div className="side-panel__head">
        <h2 className="p-heading--4 u-no-margin--bottom" id={titleId}>
          {title}
        </h2>
        <button type="button" className="p-button--base has-icon u-no-margin--bottom" onClick={onClose}>
          <i className="p-icon--close">Close panel</i>
        </button>
      </div>
      {children}
    </aside>,
    document.body,
  );
}
