/** Contacts as a plain file: JSON, so that other programs and people can read it. */

import { type ContactCard, EngineError } from "../engine/contract";

const FORMAT = "tace contacts";
const VERSION = 1;
/** Tens of thousands of contacts. */
export const MAX_CONTACTS_BYTES = 8 * 1024 * 1024;
const MAX_CARDS = 50_000;
const MAX_NAME_CHARACTERS = 64;

export function writeContacts(cards: readonly ContactCard[]): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, contacts: cards }, null, 2)}\n`;
}

/**
 * What a file says; codes are checked by the engine. Somebody else's "verified" is not taken over:
 * only who compared the safety number knows.
 *
 * @throws EngineError bad-contacts
 */
export function readContacts(text: string): ContactCard[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new EngineError("bad-contacts");
  }
  if (!isRecord(file) || file.format !== FORMAT || file.version !== VERSION) {
    throw new EngineError("bad-contacts");
  }
  const { contacts } = file;
  if (!Array.isArray(contacts) || contacts.length > MAX_CARDS)
    throw new EngineError("bad-contacts");
  return contacts.map((card: unknown) => {
    if (!isRecord(card) || typeof card.code !== "string" || typeof card.name !== "string") {
      throw new EngineError("bad-contacts");
    }
    const name = [...card.name].slice(0, MAX_NAME_CHARACTERS).join("");
    return { code: card.code, name, verified: false };
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
