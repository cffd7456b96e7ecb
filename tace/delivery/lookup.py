"""Reading a user record: from a read quorum, the highest wins, the others are told (page 2.4)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from tace.background import background
from tace.delivery.whereabouts import AllKnown, Whereabouts
from tace.errors import BadRecord, Failure, NotStored, Refusal
from tace.identity.user_record import UserRecord
from tace.ids import NodeId
from tace.seams import Counters, Links, View
from tace.wire.peer import GetRecord, PutRecord


class RecordLookup:
    """Finds user records for clients."""

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._view = view
        self._links = links
        self._clock = clock
        self._counters = counters
        self._whereabouts: Whereabouts = whereabouts or AllKnown()

    async def find(self, key: bytes) -> UserRecord | None:
        """The record under ``key``; None where a read quorum says there is none.

        :raises NotStored: fewer replicas answered than a read needs, and none had it.
        """
        await self._whereabouts.resolve(key)
        replica_set = self._view.replica_set(key)
        asked = [node for node in replica_set.everyone if not self._view.is_dead(node)]
        answers: dict[NodeId, UserRecord | None] = {}
        complete = 0

        async def ask(node: NodeId) -> None:
            nonlocal complete
            try:
                answer = await self._links.call(node, GetRecord(key))
                found = UserRecord.parse(answer.record) if answer.record else None
            except (Failure, Refusal, BadRecord) as error:
                self._counters.count("replica_read_failures_total", reason=error.code)
                return
            if found is not None and (found.key != key or self._over(found)):
                return
            answers[node] = found
            # Only members count: a read quorum meets every write quorum among them alone.
            complete += not answer.partial and node in replica_set.members
            if complete >= replica_set.read_quorum and not enough.called:
                enough.callback(None)

        enough: Deferred[None] = Deferred()

        def all_answered(_: object) -> None:
            if not enough.called:
                enough.callback(None)

        work = DeferredList([background("read a record", ask(node)) for node in asked])
        work.addCallback(all_answered)
        await enough
        found = [record for record in answers.values() if record is not None]
        if not found:
            if complete < replica_set.read_quorum:
                raise NotStored("too few nodes could be asked", retry_after_ms=1000)
            return None
        best = max(found, key=lambda record: record.order)
        self._tell_the_others(best, answers)
        return best

    def _over(self, record: UserRecord) -> bool:
        return record.expires_hours * 3600 <= self._clock.seconds()

    def _tell_the_others(self, best: UserRecord, answers: dict[NodeId, UserRecord | None]) -> None:
        """Read repair: replicas that answered with less are brought up to date."""

        async def tell(node: NodeId) -> None:
            try:
                await self._links.call(node, PutRecord(best.encoded))
            except (Failure, Refusal):
                self._counters.count("read_repair_failures_total")

        for node, record in answers.items():
            if record is None or record.order < best.order:
                background("read repair", tell(node))
