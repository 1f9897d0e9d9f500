import { useLayoutEffect, useRef, type ReactNode, type RefObject } from "react";

/** `below` is centred under the anchor; `beside` is at its left, so that it hides whole rows and no half ones. */
export type Placement = "below" | "beside";

interface Props {
  anchor: RefObject<HTMLElement | null>;
  placement: Placement;
  className: string;
  id: string;
  role: "tooltip" | "menu" | "group";
  /** Name of a menu; a tooltip is its own text. */
  label?: string;
  /** Asked for when the page moves under it. */
  onClose: () => void;
  children: ReactNode;
}

const GAP = 4;

/** Something small above the page, in the browser's top layer but still at its place in the document. */
export function Floating({ anchor, placement, className, id, role, label, onClose, children }: Props) {
  const element = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const floating = element.current;
    const target = anchor.current?.getBoundingClientRect();
    if (floating === null || target === undefined) return;
    floating.showPopover();
    const { width, height } = floating.getBoundingClientRect();
    const room = { x: document.documentElement.clientWidth, y: document.documentElement.clientHeight };
    const left = placement === "below" ? target.left + target.width / 2 - width / 2 : target.left - width - GAP;
    const below = placement === "below" ? target.bottom + GAP : target.top;
    const above = placement === "below" ? target.top - height - GAP : target.bottom - height;
    floating.style.left = `${Math.max(GAP, Math.min(left, room.x - width - GAP))}px`;
    floating.style.top = `${below + height > room.y && above > 0 ? above : below}px`;
  }, [anchor, placement]);

  useLayoutEffect(() => {
    window.addEventListener("scroll", onClose, { passive: true });
    window.addEventListener("resize", onClose);
    return () => {
      window.removeEventListener("scroll", onClose);
      window.removeEventListener("resize", onClose);
    };
  }, [onClose]);

  return (
    <div ref={element} popover="manual" className={`floating ${className}`} id={id} role={role} aria-label={label}>
      {children}
    </div>
  );
}
