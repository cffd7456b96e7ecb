"""Who should keep what, and who does not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.lab.chaos.copies import lacking, replica_set
from tace.lab.chaos.sqlite import items_in
from tests.lab.fakes import ring_statuses

KEYS = [bytes([number]) * 32 for number in range(0, 256, 5)]


class ReplicaSets(SynchronousTestCase):
    """Told from what the nodes say of themselves."""

    def test_first_distinct_nodes_clockwise(self) -> None:
        """From the first position at or after the key, around the end."""
        statuses = ring_statuses(5, 2)
        ring = sorted((p.id, node) for node, s in enumerate(statuses) for p in s.positions)
        first, second = ring[0], next(each for each in ring if each[1] != ring[0][1])
        self.assertEqual(replica_set(statuses, first[0], 2), [first[1], second[1]])
        self.assertEqual(replica_set(statuses, b"\xff" * 32, 2), [first[1], second[1]])
        self.assertEqual(replica_set(statuses, bytes(32), 2), [first[1], second[1]])

    def test_no_more_than_there_are(self) -> None:
        """All of a small network, each once."""
        for key in KEYS:
            self.assertEqual(sorted(replica_set(ring_statuses(3), key, 8)), [0, 1, 2])


class Lacking(SynchronousTestCase):
    """Copies that should be there."""

    def setUp(self) -> None:
        self.statuses = ring_statuses(6)
        self.items = [(key, b"id" + key[2:]) for key in KEYS]
        self.held = {
            node: {i for i in self.items if node in replica_set(self.statuses, i[0], 3)}
            for node in range(6)
        }

    def test_none(self) -> None:
        """Each where it should be; further copies do no harm."""
        self.assertEqual(list(lacking(self.statuses, self.items, self.held, 3)), [])
        self.held[0].update(self.items)
        self.assertEqual(list(lacking(self.statuses, self.items, self.held, 3)), [])

    def test_one_copy(self) -> None:
        """One of one item at one node is enough, and copies elsewhere do not make up for it."""
        item = self.items[7]
        node = replica_set(self.statuses, item[0], 3)[0]
        self.held[node].remove(item)
        for other in set(range(6)) - {node}:
            self.held[other].add(item)
        self.assertEqual(list(lacking(self.statuses, self.items, self.held, 3)), [(node, item)])


class Stores(SynchronousTestCase):
    """Read beside who writes."""

    def test_committed_rows_are_seen(self) -> None:
        """While another connection has the file open, in the middle of a transaction."""
        path = Path(self.mktemp())
        writer = sqlite3.connect(path)
        self.addCleanup(writer.close)
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE envelope (mailbox BLOB, id BLOB)")
        writer.execute("INSERT INTO envelope VALUES (x'01', x'02')")
        writer.commit()
        writer.execute("INSERT INTO envelope VALUES (x'01', x'03')")
        self.assertEqual(items_in(path), {(b"\x01", b"\x02")})

    def test_no_store(self) -> None:
        """Nothing is made where nothing is."""
        path = Path(self.mktemp())
        self.assertRaises(OSError, items_in, path)
        self.assertFalse(path.exists())
