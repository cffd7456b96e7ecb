"""Counting the answers to a write."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.votes import DURABLE, Votes
from tace.seams import ReplicaSet

NODES = [bytes([n]) * 32 for n in range(10)]
codes = st.sampled_from([*DURABLE, "failed", "full", "redirect", "quota"])


def a_set(members: int, stand_ins: int = 0) -> ReplicaSet:
    """So many members, and holders that are none."""
    return ReplicaSet(tuple(NODES[:members]), tuple(NODES[members : members + stand_ins]))


class VotesTests(SynchronousTestCase):
    """When a write is decided, and how."""

    @given(st.integers(1, 8), st.lists(codes, min_size=8, max_size=8))
    def test_stored_means_a_majority_of_the_members(self, n: int, answers: list[str]) -> None:
        """Exactly when more than half of the members have it; decided no later than the last."""
        replica_set = a_set(n)
        votes = Votes(replica_set)
        durable = 0
        for node, code in zip(replica_set.members, answers, strict=False):
            self.assertFalse(votes.decided)
            votes.cast(node, code)
            durable += code in DURABLE
            if durable > n // 2:
                break
        self.assertTrue(votes.decided)
        outcome = votes.outcome()
        self.assertEqual(outcome.state == "stored", durable > n // 2)
        self.assertEqual((outcome.copies, outcome.of), (durable, n))

    def test_stand_ins_are_reported_apart(self) -> None:
        """A copy beyond the members does not make a majority."""
        votes = Votes(a_set(3, 2))
        for node in NODES[2:5]:
            votes.cast(node, "stored")
        self.assertFalse(votes.decided)
        votes.cast(NODES[0], "failed")
        votes.cast(NODES[1], "failed")
        outcome = votes.outcome()
        self.assertEqual((outcome.state, outcome.copies, outcome.stand_ins), ("partial", 1, 2))

    def test_one_node_counts_once(self) -> None:
        """Answering twice is one copy."""
        votes = Votes(a_set(3))
        votes.cast(NODES[0], "stored")
        votes.cast(NODES[0], "duplicate")
        self.assertFalse(votes.decided)

    def test_the_commonest_reason_is_told(self) -> None:
        """When nobody has it, the word is the replicas' own; silence is ``not-stored``."""
        votes = Votes(a_set(3))
        for node, code in zip(NODES, ("failed", "quota", "failed"), strict=False):
            votes.cast(node, code)
        self.assertEqual(votes.outcome().state, "quota")
        votes = Votes(a_set(1))
        votes.cast(NODES[0], "failed")
        self.assertEqual(votes.outcome().state, "not-stored")

    def test_a_proof_decides_at_once(self) -> None:
        """The recipient's secret needs no majority."""
        votes = Votes(a_set(5))
        votes.secret = b"s" * 16
        self.assertTrue(votes.decided)
        self.assertEqual(votes.outcome().state, "acked")

    def test_a_redirect_changes_whom_to_count(self) -> None:
        """What the first set stored counts as far as it is in the better one."""
        votes = Votes(a_set(3))
        votes.cast(NODES[0], "stored")
        votes.cast(NODES[1], "redirect")
        better = ReplicaSet((NODES[0], NODES[2], NODES[5]), (NODES[0], NODES[2], NODES[5]))
        votes.expect(NODES[5], better)
        votes.cast(NODES[5], "stored")
        self.assertTrue(votes.decided)
        self.assertEqual(votes.outcome().copies, 2)
