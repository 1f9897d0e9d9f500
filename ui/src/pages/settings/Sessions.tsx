import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import Button from "@kit/Button";
import { endSession, sessionsQuery } from "@/api/sessions";
import { Age } from "@/components/Age";
import { errorText } from "@/components/ErrorNotice";
import { QueryNotice } from "@/components/QueryNotice";
import { SkeletonLines } from "@/components/Skeleton";
import { useToasts } from "@/components/Toasts";
import { dateTimeText, parseTime } from "@/lib/dates";

/** Where the person is logged in, with the means to end what they no longer want. */
export function Sessions() {
  const query = useQuery(sessionsQuery);
  const client = useQueryClient();
  const { toast } = useToasts();
  const ending = useMutation({
    mutationFn: endSession,
    onSuccess: () => toast("positive", "Ended the session."),
    onError: (error) => toast("negative", errorText(error)),
    onSettled: () => void client.invalidateQueries(sessionsQuery),
  });
  return (
    <section className="block">
      <h2 className="p-heading--5">Your sessions</h2>
      <QueryNotice what="Your sessions" query={query} />
      {query.data === undefined ? (
        !query.isError && <SkeletonLines lines={2} />
      ) : (
        <ul className="sessions">
          {query.data.map((session) => {
            const used = parseTime(session.last_used_at);
            return (
              <li key={session.id}>
                <span className="sessions__text">
                  <b>{session.current ? "This browser" : browserOf(session.user_agent)}</b>
                  <span className="u-text--muted">
                    from {session.source}, since {dateTimeText(parseTime(session.created_at))}
                    {used !== null && (
                      <>
                        , last used <Age at={used} />
                      </>
                    )}
                  </span>
                </span>
                {!session.current && (
                  <Button type="button" dense disabled={ending.isPending} onClick={() => ending.mutate(session.id)}>
                    End session
                  </Button>
                )}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

/** The product's name out of a browser's description of itself; the description where none is known. */
function browserOf(text: string): string {
  const known = ["Firefox", "Edg", "Chrome", "Safari", "curl"].find((name) => text.includes(name));
  if (known === undefined) return text === "" ? "Unknown client" : text;
  return known === "Edg" ? "Edge" : known;
}
