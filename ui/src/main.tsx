import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router";
import { createQueryClient } from "@/app/queryClient";
import { reloadOnceForMissingChunks } from "@/app/reloadOnce";
import { createRouter } from "@/app/router";
import { ToastProvider } from "@/components/Toasts";
import { followSystemTheme } from "@/lib/theme";
import "@/styles/main.scss";

reloadOnceForMissingChunks();
followSystemTheme();

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element with the id root");

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={createQueryClient()}>
      <ToastProvider>
        <RouterProvider router={createRouter()} />
      </ToastProvider>
    </QueryClientProvider>
  </StrictMode>,
);
