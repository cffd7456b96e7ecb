import type { MessageId } from "../engine/contract";

const ID_BYTES = 16;

/** A new id: the page draws it, so that a command asked twice sends once. */
export function newMessageId(random: Pick<Crypto, "getRandomValues"> = crypto): MessageId {
  const bytes = random.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
