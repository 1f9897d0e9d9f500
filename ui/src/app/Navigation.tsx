import classNames from "classnames";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Link, useLocation } from "react-router";
import type { Me } from "@/api/types";
import {
  AuditIcon,
  BugIcon,
  ClustersIcon,
  CollapseIcon,
  LogOutIcon,
  OverviewIcon,
  SettingsIcon,
  UserIcon,
} from "@/components/icons";
import { LogOutButton } from "@/components/LogOutButton";
import { Logo } from "@/components/Logo";
import { useMedia } from "@/components/focus";
import { useRights } from "@/components/useRights";
import { Visible } from "@/components/Visible";
import { read, write } from "@/lib/browserStorage";
import { visible } from "@/lib/visible";
import { ThemeSwitch } from "./ThemeSwitch";

/** Path, label, icon, and whether it is the current section. */
type Entry = [string, string, ReactNode, boolean];

const COLLAPSED_KEY = "navigation-collapsed";

interface Props {
  me: Me | undefined;
  /** Leaves out the entries that lead nowhere without rights. */
  restricted: boolean;
}

/** The dark navigation: a column at the left, or a top bar with a drawer below 620 px. */
export function Navigation({ me, restricted }: Props) {
  const { pathname } = useLocation();
  // Of the build; empty where nobody takes reports.
  const bugs = import.meta.env.BUGS_URL;
  const { mayAdminister } = useRights();
  const narrow = useMedia("(max-width: 619.98px)");
  const middle = useMedia("(max-width: 819.98px)");
  const [chosen, setChosen] = useState(() => read(COLLAPSED_KEY));
  const collapsed = !narrow && (chosen === null ? middle : chosen === "yes");
  // Open on this page only: following an entry closes the drawer.
  const [openOn, setOpenOn] = useState<string | null>(null);
  const open = narrow && openOn === pathname;
  const menuButton = useRef<HTMLButtonElement>(null);
  const closeButton = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const opener = menuButton.current;
    closeButton.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") setOpenOn(null);
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      opener?.focus();
    };
  }, [open]);

  const toggle = () => {
    const next = collapsed ? "no" : "yes";
    write(COLLAPSED_KEY, next);
    setChosen(next);
  };

  const entries: Entry[] = [
    ["/overview", "Overview", <OverviewIcon key="icon" />, pathname.startsWith("/overview")],
    ["/clusters", "Clusters", <ClustersIcon key="icon" />, /^\/clusters?(\/|$)/.test(pathname)],
    ...(mayAdminister
      ? ([["/audit", "Audit", <AuditIcon key="icon" />, pathname.startsWith("/audit")]] satisfies Entry[])
      : []),
    ["/settings", "Settings", <SettingsIcon key="icon" />, pathname.startsWith("/settings")],
  ];

  return (
    <header className={classNames("nav is-dark", { "is-collapsed": collapsed, "is-open": open })}>
      <div className="nav__bar">
        <Link to="/clusters" className="nav__brand" aria-label="Cluster Manager, start page">
          <Logo />
          <span>Cluster Manager</span>
        </Link>
        <button
          type="button"
          className="nav__menu"
          ref={menuButton}
          aria-expanded={open}
          aria-controls="navigation"
          onClick={() => setOpenOn(pathname)}
        >
          Menu
        </button>
      </div>
      <div className="nav__backdrop" aria-hidden="true" onClick={() => setOpenOn(null)} />
      <div className="nav__drawer" id="navigation" inert={narrow && !open}>
        <div className="nav__drawer-head">
          <Link to="/clusters" className="nav__brand" aria-label="Cluster Manager, start page" title="Cluster Manager">
            <Logo />
            <span>Cluster Manager</span>
          </Link>
          <button type="button" className="nav__close" ref={closeButton} onClick={() => setOpenOn(null)}>
            <i className="p-icon--close">Close navigation</i>
          </button>
        </div>
        <nav aria-label="Main" className="nav__entries">
          <ul className="nav__list">
            {!restricted &&
              entries.map(([to, label, icon, current]) => (
                <li key={to}>
                  <Link
                    to={to}
                    className="nav__entry"
                    title={label}
                    aria-current={current ? "page" : undefined}
                    onClick={() => setOpenOn(null)}
                  >
                    {icon}
                    <span>{label}</span>
                  </Link>
                </li>
              ))}
          </ul>
        </nav>
        <div className="nav__foot">
          <ThemeSwitch />
          <p
            className="nav__entry nav__user"
            title={me === undefined ? undefined : `${visible(me.name)} (${visible(me.email)})`}
          >
            <UserIcon />
            <span>{me === undefined ? " " : <Visible text={me.name} />}</span>
          </p>
          {bugs !== "" && (
            <a className="nav__entry" href={bugs} target="_blank" rel="noopener noreferrer" title="Report a bug">
              <BugIcon />
              <span>Report a bug</span>
            </a>
          )}
          <hr className="nav__rule" />
          <LogOutButton className="nav__entry" icon={<LogOutIcon />} />
          <button
            type="button"
            className="nav__entry nav__collapse"
            onClick={toggle}
            aria-label={collapsed ? "expand main navigation" : "collapse main navigation"}
            aria-expanded={!collapsed}
            title={collapsed ? "Expand" : "Collapse"}
          >
            <CollapseIcon />
            <span>Collapse</span>
          </button>
        </div>
      </div>
    </header>
  );
}
