"""Who is dead, on the disk: so that the parts of a network find each other again though all nodes
of one of them were started anew meanwhile."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic
from tace.errors import BadRecord, StoreError
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.dead_cache import Dead, DeadCache
from tace.seams import KnownDead, Store

SAVE_SECONDS = 5.0
"""What has changed is written down together this often."""


class DeadMemory:
    """Keeps what is on the disk the same as what is in the cache.

    A record is kept as long as its node is looked for. One that is over makes nobody a member: it
    says where a node was, and whoever answers there has to prove that it is this node.

    :param own: this node, which is never dead.
    """

    def __init__(
        self,
        cache: DeadCache,
        *,
        store: Store,
        own: NodeId,
        network_id: bytes,
        clock: IReactorTime,
    ) -> None:
        self._cache = cache
        self._store = store
        self._own = own
        self._network_id = network_id
        self._clock = clock
        self._saves = Periodic("save the dead", clock, lambda: SAVE_SECONDS, self.save)

    def start(self) -> None:
        self._saves.start()

    async def stop(self) -> None:
        await self._saves.stop()
        await self.save()

    async def load(self) -> None:
        """Take in the dead of last time. What cannot be read is done without."""
        try:
            remembered = await self._store.load_dead()
        except StoreError:
            # It has told the log itself. Without the dead a node starts as one that is new.
            return
        dead = [found for known in remembered if (found := self._read(known)) is not None]
        self._cache.load(dead, (known.node for known in remembered), self._clock.seconds())

    def _read(self, known: KnownDead) -> Dead | None:
        try:
            record = NodeRecord.parse(known.record, self._network_id)
        except BadRecord:
            return None
        if record.node_id != known.node or record.node_id == self._own:
            return None
        return Dead(record, known.died_seconds, known.in_burst)

    async def save(self) -> None:
        """Write down what has changed since the last time."""
        new, over = self._cache.take_unsaved()
        written = False
        try:
            if over:
                await self._store.forget_dead(over)
            if new:
                await self._store.save_dead(
                    [KnownDead(d.node, d.record.encoded, d.died, d.in_burst) for d in new]
                )
            written = True
        except StoreError:
            # It has told the log itself; the next time tries again.
            return
        finally:
            if not written:
                self._cache.not_saved(new, over)
