import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { logOut } from "@/api/queries";
import { errorText } from "./ErrorNotice";
import { useToasts } from "./Toasts";

/** Ends the session here and at the identity provider; nothing of it stays in memory, since the page is left. */
export function LogOutButton({ className, icon }: { className: string; icon?: ReactNode }) {
  const { toast } = useToasts();
  const ending = useMutation({
    mutationFn: logOut,
    onSuccess: (target) => window.location.assign(target),
    onError: (error) => toast("negative", errorText(error)),
  });
  return (
    <button
      type="button"
      className={className}
      disabled={ending.isPending}
      onClick={() => ending.mutate()}
      title="Log out"
    >
      {icon}
      <span>Log out</span>
    </button>
  );
}
