import { ageText } from "@/lib/age";
import { exactTimeText } from "@/lib/dates";
import { useNowText } from "./useNow";

interface Props {
  /** Milliseconds by the server's clock. */
  at: number;
  /** Such as `seen`. */
  prefix?: string;
}

/** `seen 42 s ago`, counting up, with the exact time as its tooltip. */
export function Age({ at, prefix }: Props) {
  const age = useNowText((now) => ageText(at, now));
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTimeText(at)}>
      {prefix === undefined ? age : `${prefix} ${age}`}
    </time>
  );
}
