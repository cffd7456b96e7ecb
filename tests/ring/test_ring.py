"""Several nodes in memory form, keep and heal one ring."""

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import Place
from tace.ring.pointers import Pointers
from tests.network import MemoryNetwork, TestNode


def order(nodes: list[TestNode]) -> list[Place]:
    """Every position of these nodes, sorted."""
    places = [p.place for node in nodes for p in node.core.ring.snapshot()]
    return sorted(places, key=lambda place: place.position)


def pointers_of(nodes: list[TestNode]) -> dict[Place, Pointers]:
    return {p.place: p for node in nodes for p in node.core.ring.snapshot()}


class RingTestCase(SynchronousTestCase):
    """What an ideal ring looks like."""

    def assert_ideal(self, nodes: list[TestNode]) -> None:
        """Successor, predecessor and whole successor lists are those of the sorted circle."""
        line = order(nodes)
        found = pointers_of(nodes)
        for at, place in enumerate(line):
            after = line[at + 1 :] + line[:at]
            pointers = found[place]
            if not after:
                after = [place]
            self.assertEqual(pointers.predecessor or place, line[at - 1])
            self.assertEqual(pointers.successor, after[0])
            count = len(pointers.successors)
            self.assertEqual(list(pointers.successors), after[:count])
            others = {p.node for p in pointers.successors} - {place.node}
            self.assertEqual(len(others), min(16, len(nodes) - 1))
            self.assertTrue(pointers.member)


class FormingTests(RingTestCase):
    """Joining."""

    def test_alone(self) -> None:
        """The first node is a ring of one, and says so."""
        network = MemoryNetwork()
        (node,) = network.ring(1)
        self.assertEqual(node.core.state, "alone")
        self.assert_ideal([node])

    def test_five_join_one_after_the_other(self) -> None:
        """Each is a member within a second or two, and everyone knows everyone."""
        network = MemoryNetwork()
        nodes = network.ring(5)
        self.assertEqual({node.core.state for node in nodes}, {"member"})
        self.assertEqual({len(node.core.membership.living()) for node in nodes}, {5})
        self.assert_ideal(nodes)

    def test_five_start_at_once(self) -> None:
        """Whoever comes first, one ring forms."""
        network = MemoryNetwork(seed=2)
        nodes = [network.node("n0")]
        nodes += [network.node(f"n{i}", seeds=("n0:1", "n1:1")) for i in range(1, 5)]
        for node in reversed(nodes):
            node.start()
        network.run(10.0)
        self.assert_ideal(nodes)

    def test_twenty(self) -> None:
        """More nodes than fit one successor list."""
        network = MemoryNetwork(seed=3)
        nodes = [network.node("n0")]
        nodes += [network.node(f"n{i}", seeds=("n0:1",)) for i in range(1, 20)]
        for node in nodes:
            node.start()
        network.run(20.0)
        self.assert_ideal(nodes)

    def test_a_seed_that_answers_later(self) -> None:
        """A node that finds nobody serves alone, keeps asking, and joins when it can."""
        network = MemoryNetwork()
        late = network.node("late", seeds=("n0:1",))
        late.start()
        network.run(3.0)
        self.assertEqual(late.core.state, "alone")
        first = network.node("n0")
        first.start()
        network.run(15.0)
        self.assertEqual(late.core.state, "member")
        self.assert_ideal([first, late])


class FailingTests(RingTestCase):
    """Nodes that die, and come back."""

    def test_half_of_them_die_at_once(self) -> None:
        """The others close the ring by themselves."""
        network = MemoryNetwork(seed=4)
        nodes = network.ring(8)
        for node in nodes[::2]:
            node.kill()
        network.run(15.0)
        left = nodes[1::2]
        self.assertEqual({len(node.core.membership.living()) for node in left}, {4})
        self.assert_ideal(left)

    def test_one_comes_back_without_seeds(self) -> None:
        """It remembers its peers, and its new boot clears the verdict of death everywhere."""
        network = MemoryNetwork(seed=5)
        nodes = network.ring(5)
        gone = nodes[2]
        gone.kill()
        network.run(10.0)
        self.assertTrue(nodes[0].core.membership.is_dead(gone.id))
        gone.seeds = ()
        nodes[2] = gone.again()
        network.run(10.0)
        self.assert_ideal(nodes)
        for node in nodes:
            self.assertEqual(node.core.membership.dead(), [])

    def test_everyone_restarts_at_once(self) -> None:
        """Peers remembered on disk are enough."""
        network = MemoryNetwork(seed=6)
        nodes = network.ring(5)
        for node in nodes:
            node.kill()
        for node in nodes:
            node.seeds = ()
        nodes = [node.again() for node in nodes]
        network.run(15.0)
        self.assert_ideal(nodes)

    def test_a_cut_network_finds_itself_again(self) -> None:
        """Dead nodes are asked now and then; when one answers, the two halves become one ring."""
        network = MemoryNetwork(seed=7)
        nodes = network.ring(6)
        one, other = [n.id for n in nodes[:3]], [n.id for n in nodes[3:]]
        network.partition(one, other)
        network.run(20.0)
        self.assert_ideal(nodes[:3])
        self.assert_ideal(nodes[3:])
        network.cut.clear()
        network.run(40.0)
        self.assert_ideal(nodes)


class QuietTests(RingTestCase):
    """What a quiet ring costs."""

    def test_unchanged_neighbours_exchange_only_small_frames(self) -> None:
        """In ten quiet seconds: GetRing and its unchanged answer, nothing else."""
        network = MemoryNetwork(seed=8)
        network.ring(5)
        network.run(60.0)
        network.frames.clear()
        network.run(10.0)
        kinds = {kind for _, _, kind in network.frames}
        comparing = {"CompareRanges", "RangeDifferences", "ListBlobs", "BlobPage"}
        self.assertLessEqual(kinds, {"GetRing", "Ring"} | comparing)
        rings = [kind for _, _, kind in network.frames if kind == "GetRing"]
        self.assertLessEqual(len(rings), 5 * 4 * 8)
