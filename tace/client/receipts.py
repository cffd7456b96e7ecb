"""Telling senders what has arrived: encrypted, in batches, after a random while.

What is owed stands in the home until a node took the receipt. A receipt itself is neither kept in
the outbox nor confirmed: if it is lost, the sender offers the message again, and is shown the
proof that it was opened.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.client.addressing import CONTENT_ID_BYTES, Addressing, latest_expiry
from tace.client.backoff import retry_after
from tace.client.connection import Connection
from tace.client.directory import Directory
from tace.client.errors import NeverOnline
from tace.client.lookups import LOOKED_UP_FOR_SECONDS
from tace.client.outbox import Outbox
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Policy, policy_of
from tace.client.vault import RandomBytes
from tace.e2ee.content import DELIVERED, Content, Receipt
from tace.e2ee.session import NoSession
from tace.errors import TaceError
from tace.wire.objects import Envelope

LATEST_SECONDS = 2.0
"""A receipt waits at random up to this long, so that its time says little about the message's."""
IDS_IN_ONE = 64
"""A receipt with so many ids has room for a handshake and an introduction."""


class Receipts:
    """The receipts that this home owes."""

    def __init__(
        self,
        database: HomeDatabase,
        directory: Directory,
        addressing: Addressing,
        outbox: Outbox,
        clock: IReactorTime,
        random_source: random.Random,
        random_bytes: RandomBytes,
    ) -> None:
        self._database = database
        self._directory = directory
        self._addressing = addressing
        self._outbox = outbox
        self._clock = clock
        self._random = random_source
        self._random_bytes = random_bytes
        self._timer: IDelayedCall | None = None
        self._turn = DeferredLock()
        self._failures = 0
        self._stopped = False

    def owed(self) -> dict[bytes, list[bytes]]:
        """What may be sent, by person."""
        # A stranger who was not accepted learns nothing, not even that somebody is here.
        return self._database.receipts_owed(ask=policy_of(self._database) is Policy.ASK)

    def soon(self) -> None:
        """Send what is owed within 2 seconds."""
        self._within(self._random.uniform(0.0, LATEST_SECONDS))

    def resume(self) -> None:
        """Send what another program made due; a wait after a failure goes on."""
        if self._timer is None and self.owed():
            self.soon()

    def stop(self) -> None:
        """Send nothing more on its own."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _within(self, seconds: float) -> None:
        if self._stopped:
            return
        if self._timer is not None:
            if self._timer.getTime() <= self._clock.seconds() + seconds:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._later)

    def _later(self) -> None:
        self._timer = None
        background("receipts", self._send_quietly())

    async def _send_quietly(self) -> None:
        with suppress(TaceError):
            # What did not go stays owed.
            await self.send()
        if self.owed():
            self._failures += 1
            self._within(retry_after(self._failures, self._random))
        else:
            self._failures = 0

    async def send(self) -> None:
        """Send everything that is owed; who cannot be told keeps nobody else from it.

        :raises NoNode: no node could be reached, or none took something; that stays owed.
        """
        await self._turn.run(lambda: Deferred.fromCoroutine(self._send()))

    async def _send(self) -> None:
        owed = self.owed()
        if owed:
            # Without any node nobody needs to be tried.
            await self._outbox.connection.connected()
        failed: TaceError | None = None
        for identity, ids in owed.items():
            try:
                for at in range(0, len(ids), IDS_IN_ONE):
                    await self._confirm(identity, ids[at : at + IDS_IN_ONE])
            except TaceError as error:
                failed = error
        if failed is not None:
            raise failed

    async def _confirm(self, identity: bytes, ids: Sequence[bytes]) -> None:
        connection = await self._outbox.connection.connected()
        peer = self._database.peer(identity)
        if peer is not None and peer.device_list is not None and not peer.looked_up_seconds:
            # They wrote from a device that was not on the list that is known.
            with suppress(NeverOnline):
                await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)
        try:
            envelopes = self._envelopes(identity, ids, connection)
        except NoSession:
            envelopes = []
        if not envelopes:
            try:
                await self._outbox.look_up(identity, 0.0)
                envelopes = self._envelopes(identity, ids, connection)
            except (NeverOnline, NoSession):
                # Nobody to tell any more.
                self._database.receipts_sent(identity, ids)
                return
        results = await self._outbox.offer(envelopes)
        if any(result.copies for result in results):
            self._database.receipts_sent(identity, ids)

    def _envelopes(
        self, identity: bytes, ids: Sequence[bytes], connection: Connection
    ) -> list[Envelope]:
        """One for each device, encrypted in one transaction before anything leaves."""
        now = self._clock.seconds()
        receipt = Content(
            self._random_bytes(CONTENT_ID_BYTES),
            0,
            int(now * 1000),
            Receipt(DELIVERED, tuple(ids)),
        )
        challenge = connection.challenge
        expires_hours = latest_expiry(connection.node_seconds, challenge.max_lifetime_hours)
        with self._database.transaction():
            return [
                self._addressing.encrypt(
                    device, [receipt], challenge.network_id, expires_hours, now
                ).envelope
                for device in self._directory.devices(identity, now)
            ]
