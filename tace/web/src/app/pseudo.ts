/** A right-to-left language made out of English: accents, a third longer, and reversed by the browser. */

import type { Catalogue, Message } from "./catalogue/message";

const PLAIN = "aceginorsuyzACEGINORSUYZ";
const ACCENTED = "áçéğîñöŕšûýžÁÇÉĞÎÑÖŔŠÛÝŽ";
const RIGHT_TO_LEFT_OVERRIDE = "\u202e";
const RIGHT_TO_LEFT_MARK = "\u200f";
const POP = "\u202c";

export function pseudoCatalogue(english: Catalogue): Catalogue {
  return Object.fromEntries(
    Object.entries(english).map(([key, message]) => [key, pseudoMessage(message)]),
  );
}

function pseudoMessage(message: Message): Message {
  if (typeof message === "string") return pseudoText(message);
  const forms = Object.entries(message).map(([form, text]) => [form, pseudoText(text)]);
  return { ...message, ...Object.fromEntries(forms) };
}

/** Places stay what they are; each word is overridden by itself, so that lines still break. */
export function pseudoText(text: string): string {
  const words = text.split(/(\{\w+\}|\s+)/).map((piece) => {
    if (piece === "" || /^(\{|\s)/.test(piece)) return piece;
    return `${RIGHT_TO_LEFT_OVERRIDE}${[...piece].map(accented).join("")}${POP}`;
  });
  return `${RIGHT_TO_LEFT_MARK}${words.join("")}${RIGHT_TO_LEFT_MARK}`;
}

function accented(letter: string): string {
  const at = PLAIN.indexOf(letter);
  return at < 0 ? letter : (ACCENTED[at] ?? letter);
}
