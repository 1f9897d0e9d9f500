// Texts that clusters and other people wrote may have characters that nobody sees and that change how the text around
// them is read: `‮` turns it around, and a name with a zero-width space looks like another one.

/** Controls, format characters (joiners, marks and overrides of direction, tags), line separators, blank letters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u115F\u1160\u2800\u3164\uFFA0]/gu;

/** Emoji are put together with joiners; there they hide nothing. */
const IN_EMOJI = /\p{Extended_Pictographic}\uFE0F?\p{Emoji_Modifier}?\u200D(?=\p{Extended_Pictographic})/gu;
const KEPT = "\u0000";

/** The text with each character that cannot be seen in its escaped form, such as `\u202e`. */
export function visible(text: string): string {
  if (text.search(UNSEEN) < 0) return text;
  const joined = text.replaceAll(KEPT, "\\u0000").replace(IN_EMOJI, (part) => part.replace("\u200D", KEPT));
  return joined.replace(UNSEEN, (character) => {
    if (character === KEPT) return "\u200D";
    // Line breaks and tabs of a description are blanks on one line.
    if (character === "\n" || character === "\t" || character === "\r") return " ";
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}
