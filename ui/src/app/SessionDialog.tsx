import { useQuery } from "@tanstack/react-query";
import { useLocation } from "react-router";
import Modal from "@kit/Modal";
import { meQuery } from "@/api/queries";

const ASK_AGAIN_MS = 3000;

/**
 * The session ended while somebody was at work. What they typed stays in the page behind: they log in in another tab, and
 * this one goes on as soon as it sees that.
 */
export function SessionDialog() {
  const { pathname, search } = useLocation();
  useQuery({ ...meQuery, staleTime: 0, refetchInterval: ASK_AGAIN_MS, refetchOnWindowFocus: true, retry: false });
  const here = encodeURIComponent(`/ui${pathname}${search}`);
  return (
    <Modal title="Your session has ended" closeOnOutsideClick={false} className="confirm-dialog">
      <p>Log in again in a new tab and come back: this page goes on where it is, and what you typed is kept.</p>
      <p className="session-dialog__ways">
        <a
          className="p-button--positive"
          href={`/oidc/login?next=${encodeURIComponent("/ui/login?done=yes")}`}
          target="_blank"
          rel="noreferrer"
        >
          Log in again
        </a>
        <a href={`/oidc/login?next=${here}`}>Log in on this page instead</a>
      </p>
    </Modal>
  );
}
