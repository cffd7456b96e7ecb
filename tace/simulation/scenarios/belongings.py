"""What people keep in the network beside messages: their records and the chunks of their files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from tace.core import Core
from tace.delivery.votes import Outcome
from tace.e2ee.stamp import stamp_search
from tace.errors import Refusal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord, user_record_key
from tace.ids import MessageId
from tace.simulation.node import SimulatedNode
from tace.simulation.people import ask_node
from tace.simulation.signatures import SeededKey
from tace.simulation.world import World
from tace.wire.objects import CHUNK_BYTES, SECONDS_PER_HOUR, Blob

AGAIN_SECONDS = 2.0
HOURS_KEPT = 48


class Belongings:
    """Publishes and stores through any node, until each is stored; looks for all of it on demand.

    The newest record of an identity and every chunk are known here, so that a wrong answer is told
    from a right one.

    :param random: which node is asked.
    """

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._records: dict[bytes, UserRecord] = {}
        self._keys: dict[bytes, SeededKey] = {}
        self._chunks: dict[bytes, Blob] = {}
        self.unstored: set[bytes] = set()
        """What the network has not called stored yet."""
        self.unfound: dict[bytes, str] = {}
        """What was looked for and has not been found yet, with the last answer."""

    def __len__(self) -> int:
        return len(self._records) + len(self._chunks)

    # -- storing ---------------------------------------------------------------------------------

    def publish(self, count: int) -> None:
        """So many more identities, each with a record."""
        for number in range(len(self._records), len(self._records) + count):
            key = SeededKey.named(self._world.seed, f"identity {number}")
            name = user_record_key(KIND_DEVICE_LIST, key.public)
            self._keys[name] = key
            self._sign(name, sequence=1)

    def renew(self) -> None:
        """A newer record of everybody, in the place of the older one."""
        for name, record in list(self._records.items()):
            self._sign(name, sequence=record.sequence + 1)

    def _sign(self, name: bytes, sequence: int) -> None:
        record = self._records[name] = UserRecord.sign(
            self._keys[name],
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=sequence,
            expires_hours=self._expires_hours(),
            payload=b"devices %d" % sequence,
        )
        self._store(name, lambda core: core.deposit.record(record.encoded), record.order)

    def store(self, count: int) -> None:
        """So many more chunks."""
        for number in range(len(self._chunks), len(self._chunks) + count):
            seed = sha256(b"chunk %d" % number).digest()
            data = seed * (CHUNK_BYTES // len(seed))
            blob = self._stamped(data)
            self._chunks[blob.hash] = blob
            self._store(blob.hash, _putting(blob))

    def _stamped(self, data: bytes) -> Blob:
        target = self._world.nodes[0].settings.limits.requests_stamp_bits
        search = stamp_search(MessageId(sha256(data).digest()), target)
        nonce = next(found for found in search if found is not None)
        return Blob.make(
            data, expires_hours=self._expires_hours(), stamp_target=target, stamp_nonce=nonce
        )

    def _expires_hours(self) -> int:
        return int(self._world.clock.seconds() // SECONDS_PER_HOUR) + HOURS_KEPT

    def _store(
        self,
        name: bytes,
        put: Callable[[Core], Awaitable[Outcome]],
        order: tuple[int, bytes] | None = None,
    ) -> None:
        """Hand it in, again and again until it is stored or there is a newer one."""
        self.unstored.add(name)

        def answered(outcome: Outcome) -> None:
            newer = order is not None and self._records[name].order != order
            if outcome.state == "stored" and not newer:
                self.unstored.discard(name)
            elif not newer:
                failed(outcome.state)

        def failed(_word: str) -> None:
            self._world.clock.callLater(AGAIN_SECONDS, self._store, name, put, order)

        self._ask_some(put, answered, failed)

    # -- finding ---------------------------------------------------------------------------------

    def look_for_all(self) -> None:
        """Ask for each of them; what is found in full leaves ``unfound``."""
        for name in [*self._records, *self._chunks]:
            self.unfound[name] = "not asked yet"
            self._look_for(name)

    def _look_for(self, name: bytes) -> None:
        def answered(found: UserRecord | Blob | None) -> None:
            if self._is_right(name, found):
                self.unfound.pop(name, None)
            else:
                failed("an older one" if found is not None else "not there")

        def failed(word: str) -> None:
            if name in self.unfound:
                self.unfound[name] = word
                self._world.clock.callLater(AGAIN_SECONDS, self._look_for, name)

        if name in self._records:
            self._ask_some(lambda core: core.records.find(name), answered, failed)
        else:
            self._ask_some(lambda core: core.blobs.find(name), answered, failed)

    def _is_right(self, name: bytes, found: UserRecord | Blob | None) -> bool:
        if isinstance(found, UserRecord):
            return found.encoded == self._records[name].encoded
        return isinstance(found, Blob) and found.data == self._chunks[name].data

    def _ask_some(
        self,
        call: Callable[[Core], Awaitable[Any]],
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        node: SimulatedNode | None = self._world.some_node(self._random)
        if node is None:
            failed("no node")
            return
        core = node.core

        async def caught() -> tuple[Any, str]:
            try:
                return await call(core), ""
            except Refusal as error:
                return None, error.code

        def told(answer: tuple[Any, str]) -> None:
            found, word = answer
            if word:
                failed(word)
            else:
                answered(found)

        ask_node(self._world.clock, node, lambda: Deferred.fromCoroutine(caught()), told, failed)


def _putting(blob: Blob) -> Callable[[Core], Awaitable[Outcome]]:
    return lambda core: core.blobs.put(blob)
