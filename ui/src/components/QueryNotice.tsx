import type { UseInfiniteQueryResult, UseQueryResult } from "@tanstack/react-query";
import { ErrorNotice } from "./ErrorNotice";

type Query = UseQueryResult | UseInfiniteQueryResult;

interface Props {
  /** What was asked for, such as `The clusters`. */
  what: string;
  query: Pick<Query, "data" | "error" | "isFetching" | "refetch">;
  /** When the page tries again by itself, in milliseconds by the browser's clock. */
  nextAttemptAt?: number | undefined;
}

/** Says that something could not be loaded, or not be refreshed where an older answer is shown; nothing while all is well. */
export function QueryNotice({ what, query, nextAttemptAt }: Props) {
  if (query.error === null) return null;
  return (
    <ErrorNotice
      title={`${what} could not be ${query.data === undefined ? "loaded" : "refreshed"}`}
      error={query.error}
      busy={query.isFetching}
      onRetry={() => void query.refetch()}
      {...(nextAttemptAt === undefined ? {} : { nextAttemptAt })}
    />
  );
}
