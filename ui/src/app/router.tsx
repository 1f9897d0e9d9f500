import { lazy } from "react";
import { createBrowserRouter, Navigate } from "react-router";
import { LoginPage } from "@/pages/login/LoginPage";
import { AppLayout } from "./AppLayout";
import { NotFoundPage } from "./NotFoundPage";
import { RouteError } from "./RouteError";

const pages = () => import("@/pages");
const ActiveTab = lazy(async () => ({ default: (await pages()).ActiveTab }));
const ClustersPage = lazy(async () => ({ default: (await pages()).ClustersPage }));
const TokensTab = lazy(async () => ({ default: (await pages()).TokensTab }));
const ClusterPage = lazy(async () => ({ default: (await pages()).ClusterPage }));
const SettingsPage = lazy(async () => ({ default: (await pages()).SettingsPage }));

/** Every page, below `/ui`. */
export function createRouter() {
  return createBrowserRouter(
    [
      { path: "login", element: <LoginPage />, errorElement: <RouteError /> },
      {
        element: <AppLayout />,
        errorElement: <RouteError />,
        children: [
          {
            errorElement: <RouteError />,
            children: [
              { index: true, element: <Navigate to="/clusters" replace /> },
              {
                path: "clusters",
                element: <ClustersPage />,
                children: [
                  { index: true, element: <ActiveTab /> },
                  { path: "tokens", element: <TokensTab /> },
                ],
              },
              { path: "cluster/:name", element: <ClusterPage /> },
              { path: "settings", element: <SettingsPage /> },
              { path: "*", element: <NotFoundPage /> },
            ],
          },
        ],
      },
    ],
    { basename: "/ui" },
  );
}
