import { lazy, Suspense, useState } from "react";
import { Link, Outlet, useLocation, useNavigate, useSearchParams } from "react-router";
import classNames from "classnames";
import Button from "@kit/Button";
import { useQueryClient } from "@tanstack/react-query";
import { clustersQuery, tokensQuery } from "@/api/queries";
import { useQuery } from "@tanstack/react-query";
import { SearchField } from "./SearchField";
import type { ClustersContext } from "./context";

const EnrolPanel = lazy(() => import("./enrol/EnrolPanel"));
const JoinCommandDialog = lazy(() => import("./enrol/JoinCommandDialog"));

const TABS = [
  { to: "/clusters", label: "Active" },
  { to: "/clusters/tokens", label: "Tokens" },
] as const;

/** A token that was just made. It lives here and nowhere else: not in the address, the history or any storage. */
interface Created {
  name: string;
  token: string;
  expiry: string;
}

/** The list of clusters and the join tokens, as two tabs, with the panel that enrols another cluster. */
export function ClustersPage() {
  const { pathname } = useLocation();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [params, setParams] = useSearchParams();
  const [created, setCreated] = useState<Created | null>(null);
  const onTokens = pathname.startsWith("/clusters/tokens");

  // Nobody asks for the data here; the tabs do. The page only wants to know what they got.
  const clusters = useQuery({ ...clustersQuery, enabled: false });
  const tokens = useQuery({ ...tokensQuery, enabled: false });
  const shown = onTokens ? tokens.data : clusters.data;
  const known = shown !== undefined;
  const empty = known && shown.length === 0;

  const panelOpen = known && params.get("panel") === "enroll-cluster";
  const openPanel = () => setParams((before) => withKey(before, "panel", "enroll-cluster"));
  const closePanel = () => setParams((before) => withKey(before, "panel", null), { replace: true });
  const context: ClustersContext = { onEnrol: openPanel };

  return (
    <>
      <div className="page-head">
        <h1 className="p-heading--4 page-head__title">Clusters</h1>
        {!onTokens && !empty && <SearchField />}
        {known && !empty && (
          <Button type="button" appearance="positive" className="page-head__action" onClick={openPanel}>
            Enroll cluster
          </Button>
        )}
      </div>
      <nav className="p-tabs page-tabs" aria-label="Clusters">
        <ul className="p-tabs__list">
          {TABS.map(({ to, label }) => (
            <li className="p-tabs__item" key={to}>
              <Link
                to={to}
                className={classNames("p-tabs__link", { "is-current": (to === "/clusters/tokens") === onTokens })}
                aria-current={(to === "/clusters/tokens") === onTokens ? "page" : undefined}
                data-testid={`tab-link-${label}`}
              >
                {label}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <Outlet context={context} />
      <Suspense fallback={null}>
        {panelOpen && (
          <EnrolPanel
            onClose={closePanel}
            onCreated={(made) => {
              setCreated(made);
              void client.invalidateQueries(tokensQuery);
              void navigate("/clusters/tokens", { replace: true });
            }}
          />
        )}
        {created !== null && <JoinCommandDialog {...created} onClose={() => setCreated(null)} />}
      </Suspense>
    </>
  );
}

function withKey(before: URLSearchParams, key: string, value: string | null): URLSearchParams {
  const after = new URLSearchParams(before);
  if (value === null) after.delete(key);
  else after.set(key, value);
  return after;
}
