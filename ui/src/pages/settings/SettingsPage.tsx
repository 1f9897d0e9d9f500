import { useQuery } from "@tanstack/react-query";
import { configurationQuery } from "@/api/queries";
import type { Configuration } from "@/api/types";
import { QueryNotice } from "@/components/QueryNotice";
import { SkeletonLines } from "@/components/Skeleton";
import { useRights } from "@/components/useRights";
import { LoginCheck } from "./LoginCheck";
import { Preferences } from "./Preferences";
import { Sessions } from "./Sessions";

/** Settings of which the server says only whether they are there. */
const SECRETS = ["oidc_client_secret"];

function valueText(key: string, value: string): string {
  if (SECRETS.includes(key)) return value === "" ? "not set" : "set";
  return value === "" ? "-" : value;
}

function isLimit(key: string): boolean {
  return key.startsWith("limit_");
}

interface EntriesProps {
  heading: string;
  label: string;
  entries: [string, Configuration[string]][];
}

function Entries({ heading, label, entries }: EntriesProps) {
  return (
    <table className="settings-table" aria-label={label}>
      <thead>
        <tr>
          <th scope="col">{heading}</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        {entries.map(([key, { title, value, description }]) => (
          <tr key={key}>
            <th scope="row">{title}</th>
            <td>
              <span className="settings-table__value">{valueText(key, value)}</span>
              <span className="settings-table__description">{description}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What is one's own, and the server's configuration, to read. Secrets are not sent by the server. */
export function SettingsPage() {
  const query = useQuery(configurationQuery);
  const { mayAdminister } = useRights();
  return (
    <>
      <title>Settings | MicroCloud Cluster Manager</title>
      <div className="page-head">
        <h1 className="p-heading--4 page-head__title">Settings</h1>
      </div>
      <div className="settings">
        <div className="settings__own">
          <Preferences />
          <Sessions />
          {mayAdminister && <LoginCheck />}
        </div>
        <section className="settings__server">
          <p className="u-text--muted page-intro">
            Set where the Cluster Manager is deployed: by the options of the charm, or in the environment of the
            services.
          </p>
          <QueryNotice what="The configuration" query={query} />
          {query.data === undefined ? (
            !query.isError && (
              <div role="status" aria-label="Loading the configuration">
                <SkeletonLines lines={10} />
              </div>
            )
          ) : (
            <>
              <Entries
                heading="Configuration"
                label="Configuration of the server"
                entries={Object.entries(query.data).filter(([key]) => !isLimit(key))}
              />
              <Entries
                heading="Limit"
                label="Limits of the server"
                entries={Object.entries(query.data).filter(([key]) => isLimit(key))}
              />
            </>
          )}
        </section>
      </div>
    </>
  );
}
