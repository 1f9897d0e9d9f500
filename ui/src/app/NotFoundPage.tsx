import { Link } from "react-router";
import { EmptyState } from "@/components/EmptyState";
import { SearchArt } from "@/components/art";

export function NotFoundPage() {
  return (
    <EmptyState title="Page not found" image={<SearchArt />} headingLevel={1}>
      <title>Page not found | MicroCloud Cluster Manager</title>
      <p>There is no page at this address.</p>
      <Link className="p-button" to="/clusters">
        Back to the start
      </Link>
    </EmptyState>
  );
}
