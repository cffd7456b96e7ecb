"""The routing table against a plain sorted list."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import Arc, Place, position_of
from tace.ring.table import RoutingTable

NETWORK = b"n" * 32
keys = st.binary(min_size=32, max_size=32)


@cache
def record(number: int, *, boot: int = 1, sequence: int = 1, mask: int = 0b1111) -> NodeRecord:
    return NodeRecord.sign(
        SigningKey.from_seed(bytes([number]) * 48),
        NETWORK,
        peer_addresses=(f"10.0.0.{number}:1",),
        client_urls=(),
        boot=boot,
        sequence=sequence,
        position_mask=mask,
        expires_seconds=2_000_000_000,
    )


def line(*records: NodeRecord) -> list[tuple[bytes, Place]]:
    """Every position of these, in ring order."""
    return sorted((p, Place(r.node_id, index)) for r in records for p, index in r.places)


class PutTests(SynchronousTestCase):
    """Which record stays."""

    def test_the_freshest(self) -> None:
        """By boot, then sequence; the same again is no news."""
        table = RoutingTable(10)
        for fresh in (record(1), record(1, sequence=2), record(1, boot=2)):
            self.assertTrue(table.put(fresh))
            self.assertFalse(table.put(fresh))
        for stale in (record(1), record(1, sequence=2), record(1, boot=1, sequence=9)):
            self.assertFalse(table.put(stale))
        self.assertEqual(table.get(record(1).node_id), record(1, boot=2))
        self.assertEqual(len(table), 1)

    def test_a_full_table(self) -> None:
        """Takes in nobody new, and news of those it knows."""
        table = RoutingTable(2)
        self.assertTrue(table.put(record(1)) and table.put(record(2)))
        self.assertFalse(table.put(record(3)))
        self.assertNotIn(record(3).node_id, table)
        self.assertTrue(table.put(record(2, sequence=2)))
        table.remove(record(1).node_id)
        self.assertTrue(table.put(record(3)))

    def test_the_version_rises_only_when_somebody_moves(self) -> None:
        """A new sequence with the same positions moves nobody."""
        table = RoutingTable(10)
        table.put(record(1))
        before = table.version
        table.put(record(1, sequence=2))
        self.assertEqual(table.version, before)
        table.put(record(1, sequence=3, mask=0b0011))
        self.assertGreater(table.version, before)
        self.assertEqual(list(table.clockwise(bytes(32))), line(record(1, sequence=3, mask=0b0011)))


class WalkTests(SynchronousTestCase):
    """The ring as it lies in the table."""

    @given(
        st.lists(st.tuples(st.integers(1, 6), st.integers(1, 255), st.booleans()), max_size=20),
        keys,
    )
    def test_walks_after_any_changes(self, steps: list[tuple[int, int, bool]], key: bytes) -> None:
        """Clockwise and back, from a key that is nobody's and from one that is."""
        table, known = RoutingTable(5), dict[int, NodeRecord]()
        for sequence, (number, mask, present) in enumerate(steps, 1):
            if present:
                fresh = record(number, sequence=sequence, mask=mask)
                if table.put(fresh):
                    known[number] = fresh
            else:
                table.remove(record(number).node_id)
                known.pop(number, None)
        expected = line(*known.values())
        for start in (key, *(position for position, _ in expected[:1])):
            after = [entry for entry in expected if entry[0] >= start]
            before = [entry for entry in expected if entry[0] < start]
            self.assertEqual(list(table.clockwise(start)), after + before)
            self.assertEqual(list(table.counter_clockwise(start)), (after + before)[::-1])
            nodes = list(dict.fromkeys(place.node for _, place in after + before))
            self.assertEqual(list(table.nodes_clockwise(start)), nodes)
            last = (after + before)[-1][1] if expected else None
            self.assertEqual(table.closest_preceding(start), last)

    @given(keys, keys, st.integers(1, 30))
    def test_positions_in_an_arc(self, start: bytes, end: bytes, limit: int) -> None:
        """Half open: without its start, with its end; the whole ring when they are one."""
        records = [record(number) for number in range(1, 6)]
        table = RoutingTable(10)
        for one in records:
            table.put(one)
        positions = [position for position, _ in line(*records)]
        arcs = [Arc(start, end), Arc(start, start), Arc(positions[3], positions[7])]
        arcs += [Arc(positions[7], positions[3]), Arc(positions[2], positions[2])]
        for arc in arcs:
            inside = [p for p in positions if p in arc]
            split = [p for p in inside if p > arc.start] + [p for p in inside if p <= arc.start]
            found = table.positions_in(arc, limit)
            self.assertEqual(found, split[: len(found)] if arc.start != arc.end else found)
            self.assertEqual(sorted(found), sorted(set(found)))
            self.assertEqual(len(found), min(limit, len(inside)))

    def test_positions_are_computed_not_claimed(self) -> None:
        """A place is where its node's id puts it."""
        table = RoutingTable(10)
        table.put(record(1))
        for position, place in table.clockwise(bytes(32)):
            self.assertEqual(position, position_of(place.node, place.number))

    def test_an_empty_table(self) -> None:
        """Has nobody to name."""
        table = RoutingTable(1)
        self.assertIsNone(table.closest_preceding(bytes(32)))
        self.assertEqual(list(table.clockwise(bytes(32))), [])
        self.assertEqual(table.positions_in(Arc(bytes(32), bytes(32)), 5), [])
