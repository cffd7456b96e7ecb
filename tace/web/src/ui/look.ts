/** How a person looks: a colour, a shape and initials, out of what is known of them. */

export const HUES = 8;
export const SHAPES = 4;

export interface Look {
  /** 0 to HUES - 1: a colour pair of avatar.css. */
  hue: number;
  /** 0 to SHAPES - 1: a corner shape of avatar.css. */
  shape: number;
}

/** FNV-1a over the identity: evenly spread, and no secret depends on it. */
export function lookOf(identity: string): Look {
  let hash = 0x811c9dc5;
  for (let at = 0; at < identity.length; at += 1) {
    hash = Math.imul(hash ^ identity.charCodeAt(at), 0x01000193);
  }
  const mixed = (hash ^ (hash >>> 15)) >>> 0;
  return { hue: mixed % HUES, shape: (mixed >>> 8) % SHAPES };
}

/**
 * One or two letters. Names are untrusted text: only letters and digits are taken, and one
 * grapheme of each, so that no joiner, override or row of accents gets in.
 */
export function initialsOf(name: string): string {
  const words = name
    .normalize("NFC")
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
  const first = words[0];
  if (first === undefined || /^tace1/i.test(name)) return "·";
  const last = words.length > 1 ? words[words.length - 1] : undefined;
  return [first, last]
    .map((word) => (word ? String.fromCodePoint(word.codePointAt(0) ?? 0) : ""))
    .join("")
    .toLocaleUpperCase();
}
