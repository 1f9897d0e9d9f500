// Line drawings for empty pages; they only decorate and take the text's colour.
import type { ReactNode } from "react";

/** `left` is where the drawing begins: it stands in line with the text below it. */
function Art({ left, children }: { left: number; children: ReactNode }) {
  return (
    <svg
      className="art"
      viewBox={`${left} 0 96 72`}
      width="128"
      height="96"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

/** Three machines joined to a circle, like the logo. */
export function ClustersArt() {
  return (
    <Art left={13}>
      <circle cx="48" cy="36" r="22" strokeDasharray="4 4" opacity=".5" />
      <rect x="38" y="4" width="20" height="18" rx="3" className="art__fill" />
      <rect x="14" y="42" width="20" height="18" rx="3" className="art__fill" />
      <rect x="62" y="42" width="20" height="18" rx="3" className="art__fill" />
      <path d="M43 10h10M43 16h6M19 48h10M19 54h6M67 48h10M67 54h6" strokeLinecap="round" />
    </Art>
  );
}

/** A key with a tag. */
export function TokenArt() {
  return (
    <Art left={15}>
      <circle cx="30" cy="36" r="14" className="art__fill" />
      <circle cx="26" cy="36" r="3.5" />
      <path d="M44 36h38M74 36v10M64 36v7" strokeLinecap="round" />
    </Art>
  );
}

export function LockArt() {
  return (
    <Art left={27}>
      <path d="M36 32v-9a12 12 0 0 1 24 0v9" />
      <rect x="28" y="32" width="40" height="30" rx="4" className="art__fill" />
      <path d="M48 43v8" strokeLinecap="round" strokeWidth="3" />
    </Art>
  );
}

export function SearchArt() {
  return (
    <Art left={24}>
      <circle cx="43" cy="32" r="18" className="art__fill" />
      <path d="m57 46 14 14" strokeLinecap="round" strokeWidth="3" />
      <path d="M36 32h14" strokeLinecap="round" />
    </Art>
  );
}
