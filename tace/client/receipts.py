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
from tace.client.addressing import CONTENT_ID_BYTES, LIFETIME_HOURS, Addressing
from tace.client.directory import Directory
from tace.client.errors import NeverOnline
from tace.client.outbox import LOOKED_UP_FOR_SECONDS, Outbox
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.content import DELIVERED, Content, Receipt
from tace.e2ee.session import NoSession
from tace.errors import TaceError
from tace.wire.objects import SECONDS_PER_HOUR, Envelope

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

    def soon(self) -> None:
        """Send what is owed within 2 seconds."""
        if self._timer is None:
            delay = self._random.uniform(0.0, LATEST_SECONDS)
            self._timer = self._clock.callLater(delay, self._later)

    def stop(self) -> None:
        """Send nothing more on its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self) -> None:
        self._timer = None
        background("receipts", self._send_quietly())

    async def _send_quietly(self) -> None:
        try:
            await self.send()
        except TaceError:
            # They stay owed, and go with the next ones.
            return

    async def send(self) -> None:
        """Send everything that is owed.

        :raises NoNode: no node could be reached; they stay owed.
        """
        await self._turn.run(lambda: Deferred.fromCoroutine(self._send()))

    async def _send(self) -> None:
        for identity, ids in self._database.receipts_owed().items():
            for at in range(0, len(ids), IDS_IN_ONE):
                await self._confirm(identity, ids[at : at + IDS_IN_ONE])

    async def _confirm(self, identity: bytes, ids: Sequence[bytes]) -> None:
        connection = await self._outbox.connected()
        network_id = connection.challenge.network_id
        peer = self._database.peer(identity)
        if peer is not None and peer.device_list is not None and not peer.looked_up_seconds:
            # They wrote from a device that was not on the list that is known.
            with suppress(NeverOnline):
                await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)
        try:
            envelopes = self._envelopes(identity, ids, network_id)
        except NoSession:
            envelopes = []
        if not envelopes:
            try:
                await self._outbox.look_up(identity, 0.0)
                envelopes = self._envelopes(identity, ids, network_id)
            except (NeverOnline, NoSession):
                # Nobody to tell any more.
                self._database.receipts_sent(identity, ids)
                return
        results = await self._outbox.offer(envelopes)
        if any(result.copies for result in results):
            self._database.receipts_sent(identity, ids)

    def _envelopes(
        self, identity: bytes, ids: Sequence[bytes], network_id: bytes
    ) -> list[Envelope]:
        """One for each device, encrypted in one transaction before anything leaves."""
        now = self._clock.seconds()
        receipt = Content(
            self._random_bytes(CONTENT_ID_BYTES),
            0,
            int(now * 1000),
            Receipt(DELIVERED, tuple(ids)),
        )
        expires_hours = int(now) // SECONDS_PER_HOUR + LIFETIME_HOURS
        with self._database.transaction():
            return [
                self._addressing.encrypt(device, [receipt], network_id, expires_hours, now)
                for device in self._directory.devices(identity, now)
            ]
