import { lazy, Suspense, useState } from "react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useLocation, useNavigate } from "react-router";
import Button from "@kit/Button";
import { fleetQuery } from "@/api/fleet";
import { tokensQuery } from "@/api/queries";
import { PageTabs, type Tab } from "@/components/PageTabs";
import { usePanel } from "@/components/usePanel";
import { useRights } from "@/components/useRights";
import { SearchField } from "./SearchField";
import type { ClustersContext } from "./context";

const EnrolPanel = lazy(() => import("./enrol/EnrolPanel"));
const JoinCommandDialog = lazy(() => import("./enrol/JoinCommandDialog"));

const TABS: readonly Tab[] = [
  { to: "/clusters", label: "Active" },
  { to: "/clusters/tokens", label: "Tokens" },
];

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
  const panel = usePanel();
  const { mayChange } = useRights();
  const [created, setCreated] = useState<Created | null>(null);
  const onTokens = pathname.startsWith("/clusters/tokens");

  // Nobody asks for the data here; the tabs do. The page only wants to know what they got.
  const clusters = useQuery({ ...fleetQuery, enabled: false });
  const tokens = useQuery({ ...tokensQuery, enabled: false });
  const shown = onTokens ? tokens.data : clusters.data;
  const known = shown !== undefined;
  const empty = known && shown.length === 0;

  const panelOpen = known && mayChange && panel.name === "enroll-cluster";
  const openPanel = () => panel.open("enroll-cluster");
  const context: ClustersContext = { onEnrol: openPanel };

  return (
    <>
      <div className="page-head">
        <h1 className="p-heading--4 page-head__title">Clusters</h1>
        {!onTokens && !empty && <SearchField />}
        {known && !empty && mayChange && (
          <Button type="button" appearance="positive" className="page-head__action" onClick={openPanel}>
            Enroll cluster
          </Button>
        )}
      </div>
      <PageTabs label="Clusters" tabs={TABS} />
      <Outlet context={context} />
      <Suspense fallback={null}>
        {panelOpen && (
          <EnrolPanel
            onClose={panel.close}
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
