import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, Navigate, useSearchParams } from "react-router";
import Notification from "@kit/Notifications/Notification";
import { ApiError } from "@/api/client";
import { meQuery } from "@/api/queries";
import { errorText } from "@/components/ErrorNotice";
import { Logo } from "@/components/Logo";
import { loginProblem } from "@/lib/loginProblem";
import { nextPath } from "@/lib/nextPath";

/** The way in: hands over to the identity provider, which leads back to the page first asked for. */
export function LoginPage() {
  const [params] = useSearchParams();
  const next = nextPath(params.get("next"));
  const client = useQueryClient();
  const me = useQuery({ ...meQuery, staleTime: 0, retry: false });

  // What the last session saw is not for the next one.
  useEffect(() => client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== meQuery.queryKey[0] }), [client]);

  if (me.isSuccess && me.data.trusted) return params.has("done") ? <Done /> : <Navigate to={next} replace />;

  const problem = loginProblem(params.get("error"));
  const failure = me.error instanceof ApiError && me.error.status === 401 ? null : me.error;
  return (
    <main className="login is-dark">
      <title>Log in | MicroCloud Cluster Manager</title>
      <div className="login__card">
        <Logo size={56} />
        <h1 className="p-heading--3 login__title">MicroCloud Cluster Manager</h1>
        <p className="login__text">See and manage all your MicroClouds in one place.</p>
        {problem !== null && failure === null && (
          <Notification severity="caution" title="You are not logged in" titleElement="h2" role="alert">
            {problem}
          </Notification>
        )}
        {failure !== null && (
          <Notification severity="caution" title="The server has a problem" titleElement="h2" role="alert">
            {errorText(failure)}
          </Notification>
        )}
        <a className="p-button--positive login__button" href={`/oidc/login?next=${encodeURIComponent(`/ui${next}`)}`}>
          Login
        </a>
      </div>
    </main>
  );
}

/** For a tab that was opened only to log in again. */
function Done() {
  return (
    <main className="login is-dark">
      <title>Logged in | MicroCloud Cluster Manager</title>
      <div className="login__card">
        <Logo size={56} />
        <h1 className="p-heading--3 login__title">You are logged in</h1>
        <p className="login__text">Close this tab and go on in the one that you came from.</p>
        <Link className="p-button login__button" to="/clusters">
          Go to the clusters
        </Link>
      </div>
    </main>
  );
}
