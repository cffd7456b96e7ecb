import type { Catalogue } from "../message";

/** By the codes of src/engine/contract.ts: what went wrong, and what to do. */
export const errors = {
  unknown: "That did not work. Try again; if it stays like this, reload the page.",
  "bad-link": "This is no contact link or code. It begins with tace1 and has 63 characters.",
  "own-link": "This is your own link. Give it to others, and ask them for theirs.",
  "bad-recovery-code": "This recovery code is not right. Compare it group by group.",
  "code-forgotten": "You said that the recovery code is saved, so this page has forgotten it.",
  "identity-exists": "There is an identity in this browser already. Reload the page.",
  "no-file": "This file is not here.",
  "not-a-safety-code": "This is no safety number code.",
  "too-large": "This is too large to be sent.",
  blocked: "tace cannot work in this browser at the moment.",
  failed: "tace broke while it was starting. Reload the page.",
  "bad-origin": "This is no address of a node. It looks like https://example.org",
  "no-node": "There is no node at this address, or it does not answer.",
  "wrong-network": "This node belongs to another network.",
  "bad-export": "This is no export of tace, or it is damaged.",
  "bad-contacts": "This is no contacts file of tace, or it is damaged.",
  "no-clipboard": "The browser did not let the page copy. Mark the text and copy it by hand.",
  "unknown-chat": "This chat is not here any more.",
  "unknown-message": "This message is not here any more.",
  "file-too-large": "This file is too large to be read here.",
  closed: "This tab has closed its engine. Reload the page.",
  busy: "Too much is going on at once. Try again in a moment.",
  "storage-full":
    "This browser has no more space for tace. Free some, or delete old messages, then try again.",
  "outbox-full":
    "Too many messages wait for their recipients. There is room again when some have arrived or expired.",
  internal: "Something broke inside. Try again; if it stays like this, reload the page.",
} as const satisfies Catalogue;
