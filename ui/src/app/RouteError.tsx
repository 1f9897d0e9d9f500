import Button from "@kit/Button";
import { EmptyState } from "@/components/EmptyState";
import { SearchArt } from "@/components/art";

/** A page that broke, or whose files are gone after an upgrade. The rest of the frame keeps working. */
export function RouteError() {
  return (
    <EmptyState title="This page could not be shown" image={<SearchArt />} headingLevel={1}>
      <title>Error | MicroCloud Cluster Manager</title>
      <p>The Cluster Manager may have been upgraded while the page was open. Loading it again usually helps.</p>
      <Button type="button" onClick={() => window.location.reload()}>
        Reload the page
      </Button>
    </EmptyState>
  );
}
