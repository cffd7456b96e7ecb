/** How identities are written, as keys of the database and in what pages see. */

import type { Identity } from "../engine/contract";
import type { Bytes } from "../wire/bytes";

/** base64url without padding: 44 characters for the 33 bytes of a point. */
export function identityText(point: Uint8Array): Identity {
  return btoa(String.fromCharCode(...point))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** @param identity what `identityText` wrote. */
export function identityPoint(identity: Identity): Bytes {
  const binary = atob(identity.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
