import { useQuery } from "@tanstack/react-query";
import Button from "@kit/Button";
import Icon from "@kit/Icon";
import { loginCheckQuery, type CheckedStep } from "@/api/loginCheck";
import { ErrorNotice } from "@/components/ErrorNotice";
import { Visible } from "@/components/Visible";
import { number } from "@/lib/count";

const STEPS: Record<CheckedStep["step"], string> = {
  discovery: "Identity provider",
  issuer: "Issuer",
  endpoints: "Endpoints",
  keys: "Keys",
  scopes: "Scopes",
  redirect: "Client and return address",
  secret: "Client secret",
  logouts: "Logouts",
  audience: "Access tokens of scripts",
  groups: "Groups",
};

const RESULTS: Record<CheckedStep["result"], { icon: string; label: string }> = {
  ok: { icon: "success", label: "Right" },
  warning: { icon: "warning", label: "Look at this" },
  failed: { icon: "error", label: "Wrong" },
  skipped: { icon: "information", label: "Not tried" },
};

/** Lets the server try the login with the identity provider, and shows in words what it found. */
export function LoginCheck() {
  const query = useQuery(loginCheckQuery);
  const { data, isFetching } = query;
  const failed = data?.steps.filter(({ result }) => result === "failed").length ?? 0;
  return (
    <section className="block">
      <h2 className="p-heading--5">Login</h2>
      <p className="u-text--muted">
        Tries each step of a login with the identity provider, without logging anybody in or out.
      </p>
      <Button type="button" disabled={isFetching} onClick={() => void query.refetch()}>
        {isFetching ? "Checking…" : data === undefined ? "Check the login" : "Check again"}
      </Button>
      {query.isError && (
        <ErrorNotice
          title="The login could not be checked"
          error={query.error}
          busy={isFetching}
          onRetry={() => void query.refetch()}
        />
      )}
      {data !== undefined && (
        <>
          <p role="status">
            {failed === 0 ? (
              "Nothing is wrong with the login, as far as this can be seen without a person."
            ) : (
              <b>{failed === 1 ? "One step is wrong." : `${number(failed)} steps are wrong.`}</b>
            )}
          </p>
          <ol className="login-check" aria-label="Steps of the login">
            {data.steps.map(({ step, result, text }) => (
              <li key={step} className={`login-check__step is-${result}`}>
                <Icon name={RESULTS[result].icon} aria-hidden="true" />
                <span>
                  <b>{STEPS[step]}</b> <span className="login-check__result">{RESULTS[result].label}</span>
                  <span className="login-check__text breakable">
                    <Visible text={text} />
                  </span>
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}
