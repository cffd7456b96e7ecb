import type { Points } from "../digest";

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };

function importPoint(publicKey: Uint8Array): Promise<CryptoKey> {
  // Node's WebCrypto takes compressed points; browsers need not.
  return crypto.subtle.importKey("raw", new Uint8Array(publicKey), ECDSA, true, ["verify"]);
}

/** P-256 by the runtime alone, so that tests of "wire" and "network" need no other room. */
export const nodePoints: Points = {
  async verify(publicKey, signature, message) {
    try {
      return await crypto.subtle.verify(
        { name: "ECDSA", hash: "SHA-256" },
        await importPoint(publicKey),
        new Uint8Array(signature),
        new Uint8Array(message),
      );
    } catch {
      return false;
    }
  },
  async uncompress(publicKey) {
    return new Uint8Array(await crypto.subtle.exportKey("raw", await importPoint(publicKey)));
  },
};
