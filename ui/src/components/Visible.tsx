import { visible } from "@/lib/visible";

/**
 * A text that somebody else wrote: what cannot be seen is shown escaped, and letters that run from right to left do not
 * move the text beside them.
 */
export function Visible({ text }: { text: string }) {
  return <bdi>{visible(text)}</bdi>;
}
