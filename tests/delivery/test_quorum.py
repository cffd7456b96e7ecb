"""Writes to several replicas, some of which die, lie, or send elsewhere."""

from __future__ import annotations

from typing import Any

from tace.delivery import quorum
from tace.delivery.quorum import MAX_REDIRECTS
from tace.errors import InternalError, StoreError
from tace.identity.mailbox_proof import Removal
from tace.wire.fields import PutResult
from tace.wire.peer import PutAnswer, PutEnvelopes, PutTombstones
from tests.delivery.nodes import DeliveryTestCase
from tests.letters import secret
from tests.network import TestNode


def says(*results: PutResult) -> Any:
    """A procedure that has one answer to everything."""

    async def answer(peer: bytes, message: Any) -> PutAnswer:
        return PutAnswer(results)

    return answer


class LyingTests(DeliveryTestCase):
    """Three replicas, the sender's node one of them; the two others lie."""

    def liars(self) -> list[TestNode]:
        return self.nodes[1:]

    def test_answers_that_are_miscounted(self) -> None:
        """None, or two for one: counted as no copy."""
        for number, results in enumerate(
            [(), (PutResult("stored"), PutResult("stored")), (PutResult("stored"),) * 64]
        ):
            for liar in self.liars():
                self.lie(liar, PutEnvelopes, says(*results))
            outcome = self.sent(0, self.letter(number))
            self.assertEqual((outcome.state, outcome.copies), ("partial", 1))

    def test_a_removal_that_only_one_replica_tells_of(self) -> None:
        """``acked`` without a secret proves nothing: one liar takes no message from its sender."""
        self.lie(self.nodes[1], PutEnvelopes, says(PutResult("acked")))
        self.slow(self.nodes[2], PutEnvelopes, 0.1)
        outcome = self.sent(0, self.letter(1))
        self.assertNotIn(outcome.state, ("removed", "acked"))

    def test_a_removal_that_a_majority_tells_of(self) -> None:
        """Then the sender hears of it, whatever the last one says."""
        letter = self.letter(1)
        removal = Removal.sign(self.box.key, self.box.kind, [(letter.id, letter.expires_hours)])
        for node in self.nodes[:2]:
            self.network.result(node.store.put_removals([removal], self.network.clock.seconds()))
        self.slow(self.nodes[2], PutEnvelopes, 0.1)
        outcome = self.sent(0, letter)
        self.assertEqual((outcome.state, outcome.secret), ("removed", b""))

    def test_a_secret_that_does_not_open_the_lock(self) -> None:
        """Is no proof and no copy; the right one is."""
        for liar in self.liars():
            self.lie(liar, PutEnvelopes, says(PutResult("acked", secret(2))))
        self.assertEqual(self.sent(0, self.letter(1)).state, "partial")
        self.lie(self.nodes[1], PutEnvelopes, says(PutResult("acked", secret(3))))
        outcome = self.sent(0, self.letter(3))
        self.assertEqual((outcome.state, outcome.secret), ("acked", secret(3)))

    def test_words_that_no_replica_may_say(self) -> None:
        """Are refusals; they neither count as copies nor become a promise."""
        for word in ("removed", "partial", "Stored", "redirect", "failed", ""):
            for liar in self.liars():
                self.lie(liar, PutEnvelopes, says(PutResult(word)))
            outcome = self.sent(0, self.letter(1))
            self.assertEqual((outcome.state, outcome.copies), ("partial", 1), word)

    def test_a_redirect_in_circles(self) -> None:
        """Is followed twice, with what would make the replica see, then given up."""
        asked: list[tuple[bytes, ...]] = []

        async def elsewhere(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            asked.append(message.records)
            return PutAnswer(
                (PutResult("redirect"),), self.nodes[2].core.membership.nearer_records(self.box.id)
            )

        for liar in self.liars():
            self.lie(liar, PutEnvelopes, elsewhere)
        outcome = self.sent(0, self.letter(1), within=0.5)
        self.assertEqual((outcome.state, outcome.copies), ("partial", 1))
        self.assertEqual(len(asked), 2 * (1 + MAX_REDIRECTS))
        self.assertEqual([bool(records) for records in asked].count(True), 2 * MAX_REDIRECTS)

    def test_a_redirect_with_garbage_for_records(self) -> None:
        """Is dropped; nobody is believed unsigned."""

        async def elsewhere(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            return PutAnswer((PutResult("redirect"),), (b"x" * 200,) * 8)

        before = len(self.nodes[0].core.membership.table)
        self.lie(self.nodes[1], PutEnvelopes, elsewhere)
        self.assertEqual(self.sent(0, self.letter(1)).state, "stored")
        self.assertEqual(len(self.nodes[0].core.membership.table), before)


class FailingTests(DeliveryTestCase):
    """Replicas that do not answer, or not in time."""

    def test_one_slow_replica_delays_nobody(self) -> None:
        """The majority decides, in a few milliseconds."""
        self.slow(self.nodes[2], PutEnvelopes, 2.0)
        self.assertEqual(self.sent(0, self.letter(1), within=0.05).state, "stored")

    def test_slow_ones_are_waited_for_no_longer_than_the_deadline(self) -> None:
        """Then the answer is what is known; the timer is gone with it."""
        for node in self.nodes[1:]:
            self.slow(node, PutEnvelopes, 60.0)
        before = self.network.clock.seconds()
        outcome = self.sent(0, self.letter(1), within=3.0)
        self.assertEqual((outcome.state, outcome.copies, outcome.of), ("partial", 1, 3))
        self.assertLess(self.network.clock.seconds() - before, 3.0)

    def test_replicas_that_die_between_the_write_and_the_answer(self) -> None:
        """They may have it, nobody knows: not counted, and sending it again settles it."""
        honest = [self.truth(node, PutEnvelopes) for node in self.nodes]

        def dying(at: int) -> Any:
            async def answer(peer: bytes, message: PutEnvelopes) -> PutAnswer:
                await honest[at](peer, message)
                self.nodes[at].kill()
                raise InternalError("it is gone")

            return answer

        letter = self.letter(1)
        for at in (1, 2):
            self.lie(self.nodes[at], PutEnvelopes, dying(at))
        self.assertEqual(self.sent(0, letter).state, "partial")
        for at in (1, 2):
            self.nodes[at] = self.nodes[at].again()
        self.network.run(10.0)
        again = self.sent(0, letter)
        self.assertEqual(again.state, "stored")

    def test_a_disk_that_fails_at_the_senders_own_node(self) -> None:
        """Counts as one copy less, at once; it does not hold the answer up."""
        self.nodes[0].store.close()
        self.assertEqual(self.sent(0, self.letter(1), within=0.5).state, "stored")
        for node in self.nodes[1:]:
            node.kill()
        outcome = self.sent(0, self.letter(2), within=0.5)
        self.assertEqual((outcome.state, outcome.copies), ("not-stored", 0))
        self.flushLoggedErrors(StoreError)

    def test_nothing_is_left_when_all_is_decided(self) -> None:
        """No timer, and room for as many writes as before."""
        writer = self.nodes[0].core.deposit._envelopes
        self.patch(quorum, "MAX_UNDECIDED", 2)
        for node in self.nodes[1:]:
            self.slow(node, PutEnvelopes, 1.0)
        waiting = [self.send(0, self.letter(number)) for number in range(2)]
        self.assertEqual(self.sent(0, self.letter(9), within=0.1).state, "too-many")
        for deferred in waiting:
            self.network.result(deferred)
        self.assertEqual(len(writer._undecided), 0)
        self.assertEqual(writer._batches, {})
        decisions = [c for c in self.network.clock.getDelayedCalls() if "decide" in str(c)]
        self.assertEqual(decisions, [])

    def test_acks_are_counted_by_the_same_rule(self) -> None:
        """Two replicas without an answer: ``partial``."""
        letter = self.letter(1)
        self.put_everywhere([letter])
        for node in self.nodes[1:]:
            self.lie(node, PutTombstones, says())
        (outcome,) = self.network.result(
            self.nodes[0].core.deposit.acks([self.box.tombstone(letter, 1)], [])
        )
        self.assertEqual((outcome.state, outcome.copies), ("partial", 1))
