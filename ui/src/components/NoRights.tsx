import { useQuery } from "@tanstack/react-query";
import { meQuery } from "@/api/queries";
import { EmptyState } from "./EmptyState";
import { LogOutButton } from "./LogOutButton";
import { LockArt } from "./art";

/** For people who are logged in but in no group that may use the Cluster Manager. */
export function NoRights() {
  const me = useQuery({ ...meQuery, enabled: false }).data;
  const groups = me?.groups ?? [];
  return (
    <EmptyState title="Your account has no access" image={<LockArt />} headingLevel={1}>
      <title>No access | MicroCloud Cluster Manager</title>
      <p>
        You are logged in as <strong>{me?.name ?? "an unknown user"}</strong>
        {me !== undefined && me.email !== "" && me.email !== me.name && <> ({me.email})</>}.
      </p>
      <p>
        The clusters are for members of the group <code>admins</code> of your identity provider, or of the group that
        was configured in its place.{" "}
        {groups.length === 0 ? "Your account is in no group." : `Your groups: ${groups.join(", ")}.`} Ask your
        administrator to add you, then log in again.
      </p>
      <LogOutButton className="p-button" />
    </EmptyState>
  );
}
