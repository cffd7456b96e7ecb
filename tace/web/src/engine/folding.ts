/** Text as search compares it: without case and accents. */

const MARKS = /\p{Mark}/gu;

/** Folded text: lower case, compatibility forms, no accents (NFKD, Unicode Standard Annex 15). */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(MARKS, "").toLowerCase();
}

/**
 * Where `wanted` stands in `text`.
 *
 * Folding may change how long a text is ("ß", "ﬁ", "é"), so the places are found in the folded text
 * and carried back character by character.
 *
 * @param wanted folded already; empty finds nothing.
 * @returns [start, end) in UTF-16 units of `text`, in order, not overlapping.
 */
export function marksIn(text: string, wanted: string): [number, number][] {
  if (!wanted) return [];
  let folded = "";
  /** Of each unit of `folded`: where the character it came from starts and ends in `text`. */
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const piece = fold(character);
    const end = at + character.length;
    for (let unit = 0; unit < piece.length; unit += 1) {
      starts.push(at);
      ends.push(end);
    }
    // An accent that stands by itself belongs to what it stands on.
    if (!piece && ends.length) ends[ends.length - 1] = end;
    folded += piece;
    at = end;
  }
  const marks: [number, number][] = [];
  let found = folded.indexOf(wanted);
  while (found >= 0) {
    const start = starts[found];
    const end = ends[found + wanted.length - 1];
    if (start === undefined || end === undefined) break;
    const previous = marks.at(-1);
    if (!previous || start >= previous[1]) marks.push([start, end]);
    found = folded.indexOf(wanted, found + wanted.length);
  }
  return marks;
}
