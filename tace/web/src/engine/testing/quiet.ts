/**
 * Knowing when everything that is under way has come to rest.
 *
 * Virtual time may go on only then: WebCrypto works outside this thread, in real time, and on a busy
 * machine a clock that runs ahead of it would make connections time out that are well.
 */

/** How often the event loop goes round with nothing under way before that counts as rest. */
const QUIET_ROUNDS = 10;

let underWay = 0;
let isCounted = false;

/** From now on calls of WebCrypto are counted. */
export function countCrypto(): void {
  if (isCounted) return;
  isCounted = true;
  const prototype = Object.getPrototypeOf(crypto.subtle) as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const method = prototype[name];
    if (name === "constructor" || typeof method !== "function") continue;
    prototype[name] = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      underWay += 1;
      try {
        return await (method.apply(this, args) as Promise<unknown>);
      } finally {
        underWay -= 1;
      }
    };
  }
}

/** Resolves when nothing is under way but timers. */
export async function atRest(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_ROUNDS; quiet += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (underWay) quiet = -1;
  }
}
