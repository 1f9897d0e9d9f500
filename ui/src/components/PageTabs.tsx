import classNames from "classnames";
import { Link, useLocation } from "react-router";

export interface Tab {
  /** Path below `/ui`, encoded. */
  to: string;
  label: string;
  /** A number beside the label, such as of warnings. */
  badge?: number;
}

/** Tabs that are pages with addresses of their own. */
export function PageTabs({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  const { pathname } = useLocation();
  return (
    <nav className="p-tabs page-tabs" aria-label={label}>
      <ul className="p-tabs__list">
        {tabs.map(({ to, label: text, badge }) => {
          const current = samePath(pathname, to);
          return (
            <li className="p-tabs__item" key={to}>
              <Link
                to={to}
                className={classNames("p-tabs__link", { "is-current": current })}
                aria-current={current ? "page" : undefined}
                data-testid={`tab-link-${text}`}
              >
                {text}
                {badge !== undefined && badge > 0 && <span className="page-tabs__badge">{badge}</span>}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

/** Browsers leave some characters as they are that `encodeURIComponent` encodes. */
function samePath(a: string, b: string): boolean {
  const plain = (path: string) => path.split("/").map(decoded).join("\n").replace(/\n$/, "");
  return plain(a) === plain(b);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
