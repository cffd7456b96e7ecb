"""What a client writes: envelopes, tombstones, removals, records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from tace.delivery.gathering import Gathering
from tace.delivery.quorum import QuorumWriter
from tace.delivery.votes import Outcome, Votes
from tace.delivery.whereabouts import Whereabouts
from tace.errors import Malformed, Refusal
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.mailbox.rules import AdmissionRules
from tace.seams import Counters, Links, View
from tace.wire.fields import MAX_ENVELOPES, PutResult, TombstoneField
from tace.wire.objects import Envelope, Tombstone, lock_of
from tace.wire.peer import PutEnvelopes, PutRecord, PutTombstones

TOMBSTONES_PER_REQUEST = 60
REMOVALS_PER_REQUEST = 4
ACKS_GATHER_SECONDS = 0.02
"""Acks wait this long for others, so that many share a request and a commit at each replica: nobody
waits for them, and each alone wakes every replica as much as a message does."""


class Deposit:
    """Stores what clients hand in, at the replicas it belongs to.

    The gateway's own look at a thing saves the replicas the work; they look again.
    """

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
        rules: AdmissionRules,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._envelopes: QuorumWriter[Envelope] = QuorumWriter(
            lambda batch, records: PutEnvelopes(tuple(e.encoded for e in batch), records),
            MAX_ENVELOPES,
            view=view,
            links=links,
            clock=clock,
            counters=counters,
            whereabouts=whereabouts,
            judge=_judge_envelope,
        )
        self._tombstones: QuorumWriter[Tombstone] = QuorumWriter(
            lambda batch, records: PutTombstones(
                tuple(TombstoneField(t.mailbox, t.encoded) for t in batch), (), records
            ),
            TOMBSTONES_PER_REQUEST,
            view=view,
            links=links,
            clock=clock,
            counters=counters,
            whereabouts=whereabouts,
            makes_room=True,
            gather_seconds=ACKS_GATHER_SECONDS,
        )
        self._removals: QuorumWriter[Removal] = QuorumWriter(
            lambda batch, records: PutTombstones((), tuple(r.encoded for r in batch), records),
            REMOVALS_PER_REQUEST,
            view=view,
            links=links,
            clock=clock,
            counters=counters,
            whereabouts=whereabouts,
            makes_room=True,
            gather_seconds=ACKS_GATHER_SECONDS,
        )
        self._records: QuorumWriter[UserRecord] = QuorumWriter(
            lambda batch, records: PutRecord(batch[0].encoded, records),
            1,
            view=view,
            links=links,
            clock=clock,
            counters=counters,
            whereabouts=whereabouts,
        )

    def envelopes(self, encoded: Sequence[bytes]) -> Deferred[list[Outcome]]:
        """Store envelopes; one outcome each, in order."""
        gathering = Gathering(len(encoded))
        for n, each in enumerate(encoded):
            self._envelope(each, gathering.place(n))
        return gathering.all

    def _envelope(self, encoded: bytes, decided: Callable[[Outcome], None]) -> None:
        try:
            envelope = Envelope.parse(encoded)
            word = self._rules.refusal(envelope, self._clock.seconds())
            if word is None:
                self._envelopes.begin(envelope.mailbox, envelope, decided)
                return
        except Refusal as refusal:
            word = refusal.code
        decided(Outcome(word, 0, 0))

    def acks(
        self, tombstones: Sequence[TombstoneField], removals: Sequence[bytes]
    ) -> Deferred[list[Outcome]]:
        """Replace envelopes by tombstones; outcomes of the tombstones, then of the removals."""
        gathering = Gathering(len(tombstones) + len(removals))
        for n, tombstone in enumerate(tombstones):
            self._tombstone(tombstone, gathering.place(n))
        for n, removal in enumerate(removals, len(tombstones)):
            self._removal(removal, gathering.place(n))
        return gathering.all

    def _tombstone(self, field: TombstoneField, decided: Callable[[Outcome], None]) -> None:
        try:
            tombstone = Tombstone.parse(field.mailbox, field.tombstone)
            word = self._rules.tombstone_refusal(tombstone.expires_hours, self._clock.seconds())
            if word is None:
                self._tombstones.begin(tombstone.mailbox, tombstone, decided)
                return
        except Refusal as refusal:
            word = refusal.code
        decided(Outcome(word, 0, 0))

    def _removal(self, encoded: bytes, decided: Callable[[Outcome], None]) -> None:
        try:
            removal = Removal.parse(encoded)
            self._removals.begin(removal.mailbox, removal, decided)
        except Refusal as refusal:
            decided(Outcome(refusal.code, 0, 0))

    def record(self, encoded: bytes) -> Deferred[Outcome]:
        """Store a user record.

        :raises BadRecord: it is none.
        """
        record = UserRecord.parse(encoded)
        word = self._rules.record_refusal(record.expires_hours, self._clock.seconds())
        if word is not None:
            return succeed(Outcome(word, 0, 0))
        return self._records.write(record.key, record)


def _judge_envelope(envelope: Envelope, result: PutResult, votes: Votes) -> str:
    """An ``acked`` must prove itself; without a secret it says the message was removed as junk."""
    if result.code != "acked":
        return result.code if result.code != "removed" else Malformed.code
    if not result.secret:
        return "removed"
    if lock_of(result.secret) != envelope.lock:
        return Malformed.code
    votes.secret = result.secret
    return result.code
