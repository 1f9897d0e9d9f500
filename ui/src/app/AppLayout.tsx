import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, useRef } from "react";
import { Navigate, Outlet, useLocation } from "react-router";
import { ApiError } from "@/api/client";
import { configurationQuery } from "@/api/queries";
import { ErrorNotice } from "@/components/ErrorNotice";
import { NoRights } from "@/components/NoRights";
import { PageSkeleton } from "@/components/Skeleton";
import { loginPath } from "@/lib/nextPath";
import { Navigation } from "./Navigation";
import { SessionDialog } from "./SessionDialog";
import { Shortcuts } from "./Shortcuts";
import { StatusBar } from "./StatusBar";
import { ToastCorner } from "./ToastCorner";
import { useFleetEvents } from "./useFleetEvents";
import { useSession } from "./useSession";

/** The frame around every page: it is there before the first answer of the server. */
export function AppLayout() {
  const { pathname, search } = useLocation();
  const { me, state } = useSession();
  const configuration = useQuery(configurationQuery);
  const main = useRef<HTMLElement>(null);
  useFocusOnNavigation(main, pathname);
  useFleetEvents(state === "open");
  const kiosk = new URLSearchParams(search).get("kiosk") === "1";

  if (state === "none") return <Navigate to={loginPath(pathname + search)} replace />;

  const refused = hasStatus(configuration.error, 403);
  return (
    <div className={kiosk ? "frame is-kiosk" : "frame"}>
      <a className="skip-link" href="#main">
        Skip to main content
      </a>
      {!kiosk && <Navigation me={me.data} restricted={refused} />}
      <div className="frame__page">
        <main className="frame__main" id="main" tabIndex={-1} ref={main}>
          {me.error !== null && me.data === undefined ? (
            <ErrorNotice
              title="It is not known who is logged in"
              error={me.error}
              busy={me.isFetching}
              onRetry={() => void me.refetch()}
            />
          ) : refused ? (
            <NoRights />
          ) : (
            <Suspense fallback={<PageSkeleton />}>
              <Outlet />
            </Suspense>
          )}
          {/* Within the page, since the head of a dialog outside of it would be taken for the head of all. */}
          {state === "ended" && <SessionDialog />}
          {state !== "ended" && !refused && <Shortcuts />}
        </main>
        {!kiosk && <StatusBar version={configuration.data?.["version"]?.value} />}
      </div>
      <ToastCorner />
    </div>
  );
}

function hasStatus(error: Error | null, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

/** A new page begins at its top, also for the keyboard and for screen readers; the first one is left as loaded. */
function useFocusOnNavigation(main: React.RefObject<HTMLElement | null>, pathname: string): void {
  const last = useRef(pathname);
  useEffect(() => {
    if (last.current === pathname) return;
    last.current = pathname;
    window.scrollTo(0, 0);
    // A dialog that came up with the page keeps the focus.
    if (document.querySelector("[aria-modal=true]") === null) main.current?.focus({ preventScroll: true });
  }, [main, pathname]);
}
