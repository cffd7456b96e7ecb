"""Finding the first peer: at the start, and when nobody is left."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ring.bootstrap import ANCHOR_SECONDS, SEED_SECONDS
from tace.ring.contacts import MOST_SECONDS, Source, of_seed
from tace.ring.failures import MAX_LINE, MAX_TOLD, LatestFailures
from tace.seams import KnownPeer, KnownSeed, NamedSeed
from tests.network import MemoryNetwork, TestNode


class BootstrapCase(SynchronousTestCase):
    """A network of nodes that stand still but for looking for others."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=31, **{"ring.positions": 1})

    def knows(self, node: TestNode, other: TestNode) -> bool:
        return node.core.membership.record_of(other.id) is not None

    def lines(self, events: Any, word: str) -> list[str]:
        return [
            str(event["log_format"])
            for event in events
            if word in str(event["log_format"]) and event["log_level"].name in ("info", "warn")
        ]

    def dials(self, node: TestNode) -> list[str]:
        """Every address that a node dials from now on, as it is dialled."""
        links, dialled = node.raw_links, []
        introduce = links.introduce

        def noted(address: str, *, name: str = "") -> Deferred[Any]:
            dialled.append(address)
            return introduce(address, name=name)

        links.introduce = noted  # type: ignore[method-assign]
        return dialled


class StartTests(BootstrapCase):
    """The sources of a start."""

    def test_any_seed_that_answers_is_enough(self) -> None:
        """However many do not."""
        first = self.network.node("n0")
        first.start()
        late = self.network.node("late", seeds=(*(f"gone{n}:1" for n in range(6)), "n0:1"))
        self.network.result(late.start(), within=60.0)
        self.network.run(30.0)
        self.assertEqual(late.core.state, "member")
        self.assertTrue(self.knows(first, late))

    def test_names_are_looked_up_where_seeds_do_not_answer(self) -> None:
        """And their seeds dialled; an id there is one that must be met."""
        first = self.network.node("n0")
        first.start()
        self.network.names.table["net.example"] = [
            NamedSeed("gone.example:1", "gone:1"),
            NamedSeed("n0.example:1", f"n0:1#{first.id.hex()}"),
        ]
        late = self.network.node("late", seeds=("gone:2",), seed_names=("net.example",))
        self.network.result(late.start(), within=30.0)
        self.assertEqual(self.network.names.asked, ["net.example"])
        self.assertTrue(self.knows(late, first))

    def test_what_a_name_says_is_no_more_than_a_seed(self) -> None:
        """A wrong id there makes no link, and another source is asked all the same."""
        first, other = self.network.node("n0"), self.network.node("n1", seeds=("n0:1",))
        first.start()
        self.network.result(other.start(), within=30.0)
        self.network.names.table["net.example"] = [NamedSeed("x:1", f"n0:1#{'ab' * 32}")]
        late = self.network.node("late", seeds=("n1:1",), seed_names=("net.example",))
        with capturedLogs() as events:
            self.network.result(late.start(), within=30.0)
        self.assertTrue(self.knows(late, other))
        self.assertEqual(len(self.lines(events, "is not node")), 1)

    def test_anchors_and_a_seed_answer_for_a_node_that_returns(self) -> None:
        """One liar among the seeds does not decide whom it knows: here it names nobody."""
        nodes = self.network.ring(6)
        one = nodes[5]
        self.network.run(ANCHOR_SECONDS + 10.0)
        anchors = self.network.result(one.store.load_anchors())
        self.assertEqual(len(anchors), 4)
        one.kill()
        # The book of peers is gone, and what the seed knows is itself.
        book = self.network.result(one.store.load_peers())
        self.network.result(one.store.forget_peers([peer.node for peer in book]))
        liar = self.network.node("liar")
        liar.start()
        one.seeds = ("liar:1",)
        again = one.again()
        self.network.result(again.started, within=30.0)
        for node in [*nodes[:5], liar]:
            self.assertTrue(self.knows(again, node))

    def test_a_new_node_asks_a_name_beside_its_seeds(self) -> None:
        """Seeds alone would be one source; four answers are enough."""
        self.network.ring(6)
        seeds = tuple(f"n{n}:1" for n in range(6))
        late = self.network.node("late", seeds=seeds, seed_names=("net.example",))
        dialled = self.dials(late)
        self.network.result(late.start(), within=30.0)
        self.assertEqual(self.network.names.asked, ["net.example"])
        self.assertLess(len(dialled), 6)

    def test_a_node_that_returns_needs_no_name(self) -> None:
        """Its anchors and one seed are two sources."""
        nodes = self.network.ring(6)
        self.network.run(ANCHOR_SECONDS + 10.0)
        nodes[5].kill()
        nodes[5].seeds = ("n0:1", "n1:1", "n2:1")
        nodes[5].seed_names = ("net.example",)
        again = nodes[5].again()
        dialled = self.dials(again)
        self.network.result(again.started, within=30.0)
        self.assertEqual(self.network.names.asked, [])
        self.assertLessEqual(len(dialled), 1)

    def test_its_own_address_among_the_seeds(self) -> None:
        """Is nobody found, and no news."""
        node = self.network.node("n0", seeds=("n0:1",))
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
        self.assertEqual(node.core.state, "alone")
        self.assertEqual(self.lines(events, "first use"), [])

    def test_its_own_id_among_the_seeds(self) -> None:
        """Is not even dialled: one file of settings may serve all nodes of an operator."""
        node = self.network.node("n0")
        node = self.network.node("n0", seeds=(f"n0:1#{node.id.hex()}",))
        dialled = self.dials(node)
        self.network.result(node.start(), within=30.0)
        self.network.run(60.0)
        self.assertEqual(dialled, [])


class AloneTests(BootstrapCase):
    """Nobody there."""

    def test_it_serves_says_why_and_goes_on_trying(self) -> None:
        """Without end, at a bounded pace, and with one line in the log."""
        node = self.network.node("n0", seeds=("n1:1", "gone:1"), seed_names=("net.example",))
        dialled = self.dials(node)
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.assertEqual(node.core.state, "alone")
            self.network.run(6 * 3600.0)
        # Two seeds, at most one a minute each in the long run, with the jitter.
        self.assertLess(len(dialled), 2 * 6 * 3600 / (0.7 * MOST_SECONDS))
        self.assertGreater(len(dialled), 2 * 6 * 3600 / (1.5 * MOST_SECONDS))
        self.assertLess(len(self.network.names.asked), 50)
        self.assertGreater(len(self.network.names.asked), 15)
        self.assertLessEqual(len(self.lines(events, "no other node is known")), 7)
        self.assertGreaterEqual(len(self.lines(events, "no other node is known")), 5)
        failures = node.core.bootstrap.failures
        self.assertEqual(
            sorted(failures),
            [
                "name net.example: no such name",
                "seed gone:1: nobody answers at gone:1",
                "seed n1:1: nobody answers at n1:1",
            ],
        )
        late = self.network.node("n1")
        late.start()
        self.network.run(2 * MOST_SECONDS)
        self.assertTrue(self.knows(node, late))
        self.assertEqual(node.core.bootstrap.failures, ())

    def test_a_name_that_appears_later(self) -> None:
        node = self.network.node("n0", seed_names=("net.example",))
        self.network.result(node.start(), within=30.0)
        other = self.network.node("n1")
        other.start()
        self.network.run(30.0)
        self.assertFalse(self.knows(node, other))
        self.network.names.table["net.example"] = [NamedSeed("n1.example:1", "n1:1")]
        self.network.run(200.0)
        self.assertTrue(self.knows(node, other))

    def test_the_first_node_of_a_network_has_nothing_to_say(self) -> None:
        node = self.network.node("n0")
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.network.run(600.0)
        self.assertEqual(self.lines(events, "no other node"), [])
        self.assertEqual(node.core.bootstrap.failures, ())

    def test_remembered_peers_are_asked_until_one_is_back(self) -> None:
        """Nobody else is: no seed is configured."""
        one, other = self.network.ring(2)
        one.kill()
        other.kill()
        again = self.network.node("n0", store=one.store)
        resets: list[Any] = []
        again.raw_links.reset_backoff = resets.append  # type: ignore[assignment, method-assign]
        self.network.result(again.start())
        # Links would not dial somebody again who did not answer a moment ago.
        self.assertEqual(resets, [(other.id,)])
        self.network.run(120.0)
        self.assertEqual(again.core.state, "alone")
        other.seeds = ()
        back = other.again()
        self.network.run(2 * MOST_SECONDS)
        self.assertTrue(again.core.links.is_up(back.id))

    def test_many_remembered_who_are_all_gone(self) -> None:
        """Are not waited for: to be known is not to be here."""
        node = self.network.node("n0", seeds=("n1:1",))
        key = SigningKey.from_seed
        ghosts = [
            NodeRecord.sign(
                key(number.to_bytes(48)),
                self.network.settings.network_id,
                peer_addresses=(f"ghost{number}:1",),
                client_urls=(),
                boot=1,
                sequence=1,
                position_mask=1,
                expires_seconds=int(self.network.clock.seconds()) + 3600,
            )
            for number in range(1, 200)
        ]
        known = [_known(ghost.node_id, ghost.encoded) for ghost in ghosts]
        self.network.result(node.store.save_peers(known))
        self.network.result(node.start(), within=30.0)
        self.assertFalse(node.core.membership.alone)
        failures = node.core.bootstrap.failures
        self.assertEqual(len(failures), MAX_TOLD)
        self.assertIn("n1:1", failures[0])
        other = self.network.node("n1")
        other.start()
        self.network.run(30.0)
        self.assertTrue(node.core.links.is_up(other.id))


class SeedTests(BootstrapCase):
    """Seeds of a node that is not alone, and who is behind them."""

    def test_two_rings_with_a_common_seed_find_each_other(self) -> None:
        """Though neither ever knew a node of the other but that one, which was down."""
        left = [self.network.node("a0"), self.network.node("a1", seeds=("a0:1", "b0:1"))]
        right = [self.network.node("b1")]
        for node in (*left, *right):
            node.start()
            self.network.run(2.0)
        seed = self.network.node("b0", seeds=("b1:1",))
        self.network.result(seed.start(), within=30.0)
        self.network.run(2 * SEED_SECONDS + 20.0)
        self.assertTrue(self.knows(left[0], right[0]))
        self.assertTrue(self.knows(right[0], left[0]))

    def test_a_seed_that_is_linked_is_not_dialled_again(self) -> None:
        """It can tell nothing that this node does not hear anyway."""
        first = self.network.node("n0")
        first.start()
        second = self.network.node("n1", seeds=("n0:1",))
        dialled = self.dials(second)
        self.network.result(second.start(), within=30.0)
        self.network.run(10 * SEED_SECONDS)
        self.assertEqual(dialled, ["n0:1"])

    def test_a_seed_of_this_very_ring_is_not_asked_for_everybody(self) -> None:
        """It is dialled, and no more; unless it is another node, or a part may be lost."""
        nodes = self.network.ring(3)
        bootstrap = nodes[2].core.bootstrap
        # Each exchange begins with one of these.
        question = (nodes[2].id, nodes[0].id, "GetMembers")

        def questions(seed: str) -> int:
            self.network.frames.clear()
            asked = bootstrap._ask_seed(of_seed(Source.SEED, seed))
            self.network.result(Deferred.fromCoroutine(asked))
            return self.network.frames.count(question)

        self.assertEqual(questions("n0:1"), 0)
        bootstrap._is_part_lost = lambda: True
        self.assertEqual(questions("n0:1"), 1)
        bootstrap._is_part_lost = lambda: False
        # Where another node of the ring was last time.
        other = KnownSeed("n0:1", nodes[1].id, 5.0)
        bootstrap._introducers._trust.load([other])
        self.assertEqual(questions("n0:1"), 1)

    def test_the_first_node_at_a_seed_is_remembered_for_good(self) -> None:
        """Said once, kept on the disk, said again by nobody."""
        first = self.network.node("n0")
        first.start()
        node = self.network.node("n1", seeds=("n0:1",))
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.network.run(10.0)
        self.assertEqual(len(self.lines(events, "trusted on first use")), 1)
        (known,) = self.network.result(node.store.load_seeds())
        self.assertEqual((known.address, known.node), ("n0:1", first.id))
        node.kill()
        with capturedLogs() as events:
            self.network.result(node.again().started, within=30.0)
            self.network.run(3 * SEED_SECONDS)
        self.assertEqual(self.lines(events, "trusted on first use"), [])

    def test_another_node_at_a_seed_is_heard_and_warned_of(self) -> None:
        """Once a day; the setting that settles it is named, and settles it."""
        first = self.network.node("n0")
        first.start()
        node = self.network.node("n1", seeds=("n0:1",))
        old = KnownSeed("n0:1", b"\x07" * 32, 5.0)
        self.network.result(node.store.save_seeds([old]))
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.network.run(10 * SEED_SECONDS)
        (line,) = self.lines(events, "was {before} before")
        (event,) = [e for e in events if e.get("log_format") == line]
        pinned = f"n0:1#{first.id.hex()}"
        self.assertEqual(event["advice"], pinned)
        self.assertTrue(self.knows(node, first))
        self.assertEqual(self.network.result(node.store.load_seeds()), [old])
        node.kill()
        node.seeds = (pinned,)
        with capturedLogs() as events:
            self.network.result(node.again().started, within=30.0)
            self.network.run(10.0)
        self.assertEqual(self.lines(events, "was {before} before"), [])
        (known,) = self.network.result(node.store.load_seeds())
        self.assertEqual(known.node, first.id)

    def test_an_id_from_a_name_settles_nothing(self) -> None:
        """Whoever answers for DNS cannot have another node taken for the one that was there."""
        first = self.network.node("n0")
        first.start()
        node = self.network.node("n1", seed_names=("net.example",))
        old = KnownSeed("n0.example:1", b"\x07" * 32, 5.0)
        self.network.result(node.store.save_seeds([old]))
        named = NamedSeed("n0.example:1", f"n0:1#{first.id.hex()}")
        self.network.names.table["net.example"] = [named]
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.network.run(10.0)
        self.assertEqual(len(self.lines(events, "was {before} before")), 1)
        self.assertEqual(self.network.result(node.store.load_seeds()), [old])

    def test_a_pinned_seed_that_is_somebody_else_makes_no_link(self) -> None:
        """Clearly said, in the log once and in what the node says of itself."""
        first = self.network.node("n0")
        first.start()
        node = self.network.node("n1", seeds=(f"n0:1#{'cd' * 32}",))
        with capturedLogs() as events:
            self.network.result(node.start(), within=30.0)
            self.network.run(600.0)
        self.assertEqual(len(self.lines(events, "is not node {pinned}")), 1)
        self.assertEqual(node.core.state, "alone")
        self.assertEqual(
            node.core.bootstrap.failures,
            ("seed n0:1: another node answered than the one that was dialled",),
        )
        self.assertFalse(self.knows(node, first))


class AnchorTests(BootstrapCase):
    """What is remembered for the next start."""

    def test_anchors_are_those_met_first_and_outlive_a_crash(self) -> None:
        nodes = self.network.ring(7)
        self.network.run(ANCHOR_SECONDS + 10.0)
        last = nodes[0]
        anchors = self.network.result(last.store.load_anchors())
        self.assertEqual({a.node for a in anchors}, {node.id for node in nodes[1:5]})
        self.assertEqual(
            {a.record for a in anchors}, {n.core.membership.current.encoded for n in nodes[1:5]}
        )

    def test_damaged_anchors_do_no_harm(self) -> None:
        node = self.network.node("n0")
        peer = self.network.node("n1")
        good = peer.core.membership.current
        self.network.result(
            node.store.save_anchors(
                [
                    _known(b"g" * 32, b"garbage"),
                    _known(node.id, node.core.membership.current.encoded),
                    _known(peer.id, good.encoded),
                ]
            )
        )
        peer.start()
        self.network.result(node.start(), within=30.0)
        self.assertTrue(node.core.links.is_up(peer.id))


class FailureTests(SynchronousTestCase):
    """Lines for an operator."""

    def test_what_the_operator_has_set_comes_first(self) -> None:
        """And of each source the latest; what answers is told no more."""
        failures = LatestFailures()
        for number in range(20):
            failures.failed(Source.REMEMBERED, f"peer {number}", "gone")
        for number in (1, 2, 1, 3):
            failures.failed(Source.SEED, f"seed {number}", "gone")
        failures.failed(Source.NAME, "name x", "gone")
        failures.answered(Source.SEED, "seed 3")
        lines = failures.lines()
        self.assertEqual(len(lines), MAX_TOLD)
        self.assertEqual(
            lines[:4], ("seed 1: gone", "seed 2: gone", "name x: gone", "peer 19: gone")
        )

    def test_lines_do_no_harm_to_a_terminal(self) -> None:
        """However long and whatever is in them."""
        failures = LatestFailures()
        failures.failed(Source.SEED, "a:1", "\x1b[2J\n" + 1000 * "x")
        (line,) = failures.lines()
        self.assertTrue(line.isprintable())
        self.assertEqual(len(line), MAX_LINE)


def _known(node: bytes, record: bytes) -> KnownPeer:
    return KnownPeer(node, record, 1.0)
