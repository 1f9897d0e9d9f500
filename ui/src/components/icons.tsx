// Icons of 16 px in the colour of the text, drawn for this product.
import type { ReactNode } from "react";

function IconOf({ children }: { children: ReactNode }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const ClustersIcon = () => (
  <IconOf>
    <circle cx="8" cy="3.5" r="2" />
    <circle cx="3.5" cy="12" r="2" />
    <circle cx="12.5" cy="12" r="2" />
    <path d="M8 5.5V8m0 0-3 2.6M8 8l3 2.6" />
  </IconOf>
);

export const SettingsIcon = () => (
  <IconOf>
    <path d="M1.5 4.5h6m4 0h3M1.5 11.5h3m4 0h6" />
    <circle cx="9.5" cy="4.5" r="2" />
    <circle cx="6.5" cy="11.5" r="2" />
  </IconOf>
);

export const UserIcon = () => (
  <IconOf>
    <circle cx="8" cy="5" r="3" />
    <path d="M2 14.5c.6-3.2 2.9-5 6-5s5.4 1.8 6 5" />
  </IconOf>
);

export const LogOutIcon = () => (
  <IconOf>
    <path d="M9.5 2H3v12h6.5M6.5 8h8m-3-3 3 3-3 3" />
  </IconOf>
);

export const CollapseIcon = () => (
  <IconOf>
    <rect x="1.75" y="2.5" width="12.5" height="11" rx="1" />
    <path d="M6 2.5v11M11.5 6l-2 2 2 2" />
  </IconOf>
);

export const SunIcon = () => (
  <IconOf>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1v2m0 10v2M1 8h2m10 0h2M3 3l1.5 1.5m7 7L13 13M3 13l1.5-1.5m7-7L13 3" />
  </IconOf>
);

export const MoonIcon = () => (
  <IconOf>
    <path d="M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z" />
  </IconOf>
);

export const ScreenIcon = () => (
  <IconOf>
    <rect x="1.75" y="2.5" width="12.5" height="8.5" rx="1" />
    <path d="M5.5 14h5M8 11v3" />
  </IconOf>
);

export const PauseIcon = () => (
  <IconOf>
    <path d="M5.5 3v10m5-10v10" strokeWidth="2" />
  </IconOf>
);

export const PlayIcon = () => (
  <IconOf>
    <path d="M4.5 2.5v11l9-5.5z" fill="currentColor" stroke="none" />
  </IconOf>
);

export const RefreshIcon = () => (
  <IconOf>
    <path d="M13.5 8a5.5 5.5 0 1 1-1.6-3.9L13.5 5.5m0-3.5v3.5H10" />
  </IconOf>
);

export const MoreIcon = () => (
  <IconOf>
    <g fill="currentColor" stroke="none">
      <circle cx="3" cy="8" r="1.4" />
      <circle cx="8" cy="8" r="1.4" />
      <circle cx="13" cy="8" r="1.4" />
    </g>
  </IconOf>
);

export const CompactIcon = () => (
  <IconOf>
    <path d="M1.5 3h13M1.5 6.33h13M1.5 9.66h13M1.5 13h13" />
  </IconOf>
);

export const ComfortableIcon = () => (
  <IconOf>
    <path d="M1.5 3h13M1.5 8h13M1.5 13h13" />
  </IconOf>
);
