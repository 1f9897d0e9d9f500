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
const OverviewTab = lazy(async () => ({ default: (await pages()).OverviewTab }));
const MembersTab = lazy(async () => ({ default: (await pages()).MembersTab }));
const StorageTab = lazy(async () => ({ default: (await pages()).StorageTab }));
const WarningsTab = lazy(async () => ({ default: (await pages()).WarningsTab }));
const HistoryTab = lazy(async () => ({ default: (await pages()).HistoryTab }));
const InstancesTab = lazy(async () => ({ default: (await pages()).InstancesTab }));
const OverviewPage = lazy(async () => ({ default: (await pages()).OverviewPage }));
const AuditPage = lazy(async () => ({ default: (await pages()).AuditPage }));
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
              {
                path: "cluster/:name",
                element: <ClusterPage />,
                children: [
                  { index: true, element: <OverviewTab /> },
                  { path: "members", element: <MembersTab /> },
                  { path: "storage", element: <StorageTab /> },
                  { path: "instances", element: <InstancesTab /> },
                  { path: "warnings", element: <WarningsTab /> },
                  { path: "history", element: <HistoryTab /> },
                ],
              },
              { path: "overview", element: <OverviewPage /> },
              { path: "audit", element: <AuditPage /> },
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
