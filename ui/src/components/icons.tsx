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

export const BugIcon = () => (
  <IconOf>
    <path d="M5 7.5a3 3 0 0 1 6 0V10a3 3 0 0 1-6 0zM8 7v6M5.8 5A2.2 2.2 0 0 1 8 2.8 2.2 2.2 0 0 1 10.2 5" />
    <path d="M2 5.5 5 7m6 0 3-1.5M1.5 9.5H5m6 0h3.5M2.5 14 5.4 12m5.2 0 2.9 2" />
  </IconOf>
);

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

export const EditIcon = () => (
  <IconOf>
    <path d="M2.5 13.5l.8-3.3 7.6-7.6 2.5 2.5-7.6 7.6zM9.5 4l2.5 2.5" />
  </IconOf>
);

export const UndoIcon = () => (
  <IconOf>
    <path d="M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6" />
  </IconOf>
);

export const FilterIcon = () => (
  <IconOf>
    <path d="M1.5 3h13l-5 6v5l-3-1.5V9z" />
  </IconOf>
);

export const ColumnsIcon = () => (
  <IconOf>
    <rect x="1.75" y="2.5" width="12.5" height="11" rx="1" />
    <path d="M6 2.5v11M10 2.5v11" />
  </IconOf>
);

export const BookmarkIcon = () => (
  <IconOf>
    <path d="M4 2h8v12l-4-3-4 3z" />
  </IconOf>
);

export const DownloadIcon = () => (
  <IconOf>
    <path d="M8 2v8m-3-3 3 3 3-3M2.5 13.5h11" />
  </IconOf>
);

export const OverviewIcon = () => (
  <IconOf>
    <rect x="2" y="2" width="5" height="7" />
    <rect x="9" y="2" width="5" height="4" />
    <rect x="2" y="11" width="5" height="3" />
    <rect x="9" y="8" width="5" height="6" />
  </IconOf>
);

export const AuditIcon = () => (
  <IconOf>
    <path d="M3 1.75h7l3 3v9.5H3zM5.5 7h5m-5 3h5" />
  </IconOf>
);

export const SearchIcon = () => (
  <IconOf>
    <circle cx="7" cy="7" r="4.5" />
    <path d="m10.5 10.5 4 4" />
  </IconOf>
);

export const KioskIcon = () => (
  <IconOf>
    <path d="M2 6V2h4m4 0h4v4m0 4v4h-4m-4 0H2v-4" />
  </IconOf>
);
