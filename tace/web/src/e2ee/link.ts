/**
 * The link that adds a contact: `https://NODE/#tace1...`, or the bare code `tace1...`.
 *
 * The code is the identity key in checked base32: what follows the `#` never leaves the browser,
 * and the node is only where the page comes from.
 */

import type { Bytes } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { CheckedBase32, Damaged } from "./base32";
import { checkPoint, NotAPoint, POINT_BYTES } from "./crypto";
import { E2eeLabel } from "./labels";

export const CODE_PREFIX = "tace1";
const MAX_INPUT_CHARACTERS = 512;
const TEXT = new CheckedBase32(E2eeLabel.LINK_CHECK, POINT_BYTES, 58);
const ORIGIN = /^(https?:\/\/[^/?#\s]+)[^#\s]*#(.*)$/is;

/** What was pasted or scanned adds nobody; the text says why. */
export class BadLink extends TaceError {
  constructor(message: string) {
    super("bad-link", message);
  }
}

export interface ContactLink {
  /** The identity key, 33 bytes, a valid point. */
  readonly identity: Bytes;
  /** Scheme and host of the node whose page it opens, or "" for a bare code. */
  readonly origin: string;
}

/** `tace1` and 58 characters, lower case. */
export async function contactCode(identity: Bytes): Promise<string> {
  return CODE_PREFIX + (await TEXT.encode(identity)).toLowerCase();
}

/** The link, or the bare code where there is no node to name. */
export async function linkText({ identity, origin }: ContactLink): Promise<string> {
  const code = await contactCode(identity);
  return origin ? `${origin}/#${code}` : code;
}

/**
 * From a link or a bare code, whatever the case and with spaces around or inside.
 *
 * @throws BadLink says what is wrong with it.
 */
export async function parseLink(text: string): Promise<ContactLink> {
  if (text.length > MAX_INPUT_CHARACTERS) throw new BadLink("that is too long for a contact link");
  const found = ORIGIN.exec(text.trim());
  const origin = (found?.[1] ?? "").toLowerCase();
  const code = (found?.[2] ?? text).trim();
  if (!code.toLowerCase().startsWith(CODE_PREFIX)) {
    throw new BadLink(`a contact code starts with ${CODE_PREFIX}`);
  }
  try {
    const identity = await TEXT.decode(code.slice(CODE_PREFIX.length));
    await checkPoint(identity);
    return { identity, origin };
  } catch (error) {
    if (error instanceof Damaged)
      throw new BadLink(`the contact code is damaged: ${error.message}`);
    if (error instanceof NotAPoint) throw new BadLink("the contact code holds no valid key");
    throw error;
  }
}
