/** Leases on one connection: signed, opened, and renewed while it lasts. */

import { OpenLease } from "../wire/client";
import { Refusal, TaceError } from "../wire/errors";
import { LEASE_SECONDS, type MailboxKey, signLease } from "../wire/mailbox-proof";
import type { Clock } from "./clock";
import type { Connection } from "./connection";

/** A third of a lease is left for the renewal to fail and be noticed. */
export const RENEW_MS = (LEASE_SECONDS * 1000 * 2) / 3;

/**
 * Opens the mailboxes of these keys and keeps them open until the connection ends; a renewal that
 * fails ends it, because without a lease nothing comes.
 *
 * Rejects with Refusal `unauthorized` when the node does not go by the name that was dialled (a node
 * in the middle could use the lease elsewhere), else like `Connection.request`.
 */
export async function openLeases(
  connection: Connection,
  keys: readonly MailboxKey[],
  clock: Clock,
): Promise<void> {
  if (!connection.mayLease) {
    throw new Refusal("unauthorized", `the node does not go by the name ${connection.address}`);
  }
  await leaseAll(connection, keys);
  renewLater(connection, keys, clock);
}

async function leaseAll(connection: Connection, keys: readonly MailboxKey[]): Promise<void> {
  const { networkId, nodeId, challenge } = connection.challenge;
  for (const key of keys) {
    const expiresSeconds = Math.floor(connection.nodeNow / 1000) + LEASE_SECONDS;
    const { origin } = connection.address;
    const lease = await signLease(key, { networkId, nodeId, origin, challenge, expiresSeconds });
    await connection.request(OpenLease, { lease });
  }
}

function renewLater(connection: Connection, keys: readonly MailboxKey[], clock: Clock): void {
  const cancel = clock.after(RENEW_MS, () => {
    stopListening();
    leaseAll(connection, keys).then(
      () => renewLater(connection, keys, clock),
      (error: unknown) => connection.close(error instanceof TaceError ? error : undefined),
    );
  });
  const stopListening = connection.whenLost(cancel);
}
