/**
 * Text of others, made harmless to look at. It stays text; what could turn its surroundings round,
 * hide something or pile up over other lines is shown as what it is.
 */

/** Where something invisible stands. One for a whole run, so that nothing grows by being hidden. */
const INVISIBLE_SIGN = "▯";
const MOST_MARKS = 4;
const MOST_NAME_CHARACTERS = 64;

/** Embeddings, overrides and isolates (UAX 9): they reorder what follows. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]+/g;
const TURNING_SIGNS: Readonly<Record<string, string>> = {
  "\u202a": "LRE",
  "\u202b": "RLE",
  "\u202c": "PDF",
  "\u202d": "LRO",
  "\u202e": "RLO",
  "\u2066": "LRI",
  "\u2067": "RLI",
  "\u2068": "FSI",
  "\u2069": "PDI",
};
const MOST_TURNING_NAMED = 4;

/** Without width and without a use in ordinary writing. Joiners (200C, 200D) have one. */
const INVISIBLE =
  /[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]+/g;
/** Directional marks change no more than the line they stand in; in a message they are welcome. */
const INVISIBLE_IN_TEXT =
  /[\u00ad\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]+/g;
const JOINERS = /([\u200c\u200d])[\u200c\u200d]+/g;
/** A flag made of tags begins with a black flag; elsewhere tags are a hidden text. */
const LOOSE_TAGS = /(?<!\u{1f3f4}[\u{e0020}-\u{e007f}]*)[\u{e0000}-\u{e007f}]+/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: vertical tab and form feed end lines, too
const LINE_ENDS = /\r\n?|[\u0085\u2028\u2029\u000b\u000c]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROLS = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f]/g;
const PILED_MARKS = new RegExp(`(\\p{M}{${MOST_MARKS}})\\p{M}+`, "gu");

/** A message's text: lines stay, the rest as described above. */
export function harmlessText(text: string): string {
  return common(text.replace(LINE_ENDS, "\n")).replace(INVISIBLE_IN_TEXT, INVISIBLE_SIGN);
}

/** One line, as for a preview or a quote. */
export function harmlessLine(text: string): string {
  return harmlessText(text).replace(/\s+/g, " ").trim();
}

/**
 * An excerpt with what was found in it.
 *
 * @param marks [start, end) of each match in `text`, in order, none over another.
 * @returns the text as it may be shown, and the marks in that.
 */
export function harmlessExcerpt(
  text: string,
  marks: readonly [number, number][],
): { text: string; marks: [number, number][] } {
  let shown = "";
  let at = 0;
  const moved: [number, number][] = [];
  // Piece by piece, so that a mark ends where its piece does, whatever became longer or shorter.
  for (const [start, end] of marks) {
    shown += harmlessText(text.slice(at, start));
    const from = shown.length;
    shown += harmlessText(text.slice(start, end));
    moved.push([from, shown.length]);
    at = end;
  }
  return { text: shown + harmlessText(text.slice(at)), marks: moved };
}

/** A name: one short line in which nothing hides. */
export function harmlessName(name: string): string {
  const line = common(name.replace(/\s+/g, " ")).replace(INVISIBLE, INVISIBLE_SIGN).trim();
  const characters = [...line];
  if (characters.length <= MOST_NAME_CHARACTERS) return line;
  return `${characters.slice(0, MOST_NAME_CHARACTERS - 1).join("")}…`;
}

function common(text: string): string {
  return text
    .replace(TURNING, namedTurns)
    .replace(CONTROLS, controlSign)
    .replace(LOOSE_TAGS, INVISIBLE_SIGN)
    .replace(JOINERS, "$1")
    .replace(PILED_MARKS, "$1");
}

function namedTurns(run: string): string {
  const signs = [...run].slice(0, MOST_TURNING_NAMED).map((each) => TURNING_SIGNS[each] ?? "?");
  return `⟦${signs.join(" ")}${run.length > MOST_TURNING_NAMED ? " …" : ""}⟧`;
}

/** The pictures that Unicode has for control characters (block 2400). */
function controlSign(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : "␦";
}
