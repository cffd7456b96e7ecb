/** What is only emoji, and what may be a reaction. */

/** The reactions that are one press away. */
export const QUICK_REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏", "🎉", "🔥"] as const;

const MOST_LARGE = 6;
/** Longer than any emoji of today with its joiners and tones. */
const MOST_UNITS = 40;
const PICTURE = /\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3/u;

function graphemes(text: string): string[] {
  return Array.from(new Intl.Segmenter().segment(text), (each) => each.segment);
}

/** Whether a text is one to six emoji and nothing else: it is then drawn larger. */
export function isOnlyEmoji(text: string): boolean {
  const tight = text.replace(/\s/g, "");
  if (!tight || tight.length > MOST_LARGE * MOST_UNITS) return false;
  const all = graphemes(tight);
  return all.length <= MOST_LARGE && all.every((each) => PICTURE.test(each));
}

/** The first emoji of what somebody typed, or null. */
export function reactionIn(text: string): string | null {
  const first = graphemes(text.trim().slice(0, MOST_UNITS))[0];
  return first && PICTURE.test(first) ? first : null;
}
