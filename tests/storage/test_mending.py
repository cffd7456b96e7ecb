"""A database damaged in the middle: what can be read is kept, the rest is told, nothing is lost
twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import StoreError
from tace.seams import Put, StoreHealth, StoreState
from tace.storage.mending import sqlite as mending
from tace.storage.mending.sqlite import _reading, finish, mend, unread_frames
from tace.storage.schema.sqlite import PAGE_BYTES, connect, packaged_steps, prepare
from tace.storage.sqlite import MAX_MENDS, SqliteStore
from tests.storage.files import StoreFiles, Tally
from tests.storage.objects import NOW, blob, letter, mailbox, peer, record, removal

LETTERS = 300


class MendingTests(StoreFiles):
    """A store with something of every kind, at rest; then damage; then a store again."""

    def setUp(self) -> None:
        super().setUp()
        self.letters = [letter(n) for n in range(LETTERS)]
        self.acked = [letter(1000 + n) for n in range(50)]
        store = self.open()
        self.result(store.put_envelopes([it.envelope for it in self.letters], NOW))
        self.result(store.put_tombstones([it.tombstone for it in self.acked], NOW))
        self.result(store.put_removals([removal(letter(2000), letter(2001))], NOW))
        self.result(store.put_records([record(n, 1) for n in range(1, 9)], NOW))
        self.result(store.put_blobs([blob(n) for n in range(3)], NOW))
        self.result(store.save_peers([peer(1, 1.0)]))
        self.result(store.next_boot(NOW))
        self.result(store.close())

    # -- damage ----------------------------------------------------------------------------------

    def pages_of(self, name: str) -> list[int]:
        """The pages, from 1, of a table or an index, its root first."""
        with closing(sqlite3.connect(self.path)) as other:
            (root,) = other.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)
            ).fetchone()
        content = self.path.read_bytes()
        found = [root]
        for page in found:
            body = content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES]
            if body[0] in (2, 5):
                cells = int.from_bytes(body[3:5])
                for n in range(cells):
                    at = int.from_bytes(body[12 + 2 * n : 14 + 2 * n])
                    found.append(int.from_bytes(body[at : at + 4]))
                found.append(int.from_bytes(body[8:12]))
        return found

    def spoil(self, pages: Iterable[int], seed: int = 1) -> None:
        """Garbage in their place."""
        random = Random(seed)
        with self.path.open("r+b") as file:
            for page in pages:
                file.seek((page - 1) * PAGE_BYTES)
                file.write(random.randbytes(PAGE_BYTES))

    # -- looks -----------------------------------------------------------------------------------

    def waiting(self, store: SqliteStore) -> set[bytes]:
        """The ids in the mailbox; each is fetched, and what it should be."""
        listed = self.result(store.list_mailbox(mailbox(1), 0, 1000, NOW))
        found = self.result(store.get_envelopes(mailbox(1), [it.id for it in listed], NOW))
        by_id = {it.envelope.id: it.envelope for it in self.letters}
        for envelope in found:
            self.assertEqual(envelope, by_id[envelope.id])
        self.assertEqual({it.id for it in found}, {it.id for it in listed})
        return {it.id for it in listed}

    def provoke(self, store: SqliteStore) -> None:
        """Read everything until some damage is met and mended."""
        ids = [it.envelope.id for it in self.letters]
        reads: list[Deferred[Any]] = [
            store.get_envelopes(mailbox(1), ids, NOW),
            store.list_mailbox(mailbox(1), 0, 1000, NOW),
            store.get_items([it.buried_item for it in self.acked], NOW),
            store.totals(),
            store.expire(NOW),
        ]
        failures = 0
        for read in reads:
            try:
                self.result(read)
            except StoreError:
                failures += 1
        self.assertGreater(failures, 0)
        self.becomes(store, StoreState.OK)

    def assert_sound(self) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(other.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def aside(self) -> list[str]:
        return sorted(it.name for it in self.path.parent.glob("node.db.damaged-*"))

    # -- tests -----------------------------------------------------------------------------------

    def test_pages_of_a_table(self) -> None:
        """The rows on them are gone, each one is counted; all others are served, and acked."""
        gone = self.pages_of("envelope")[40:60]
        self.spoil(gone)
        counters = Tally()
        store = self.open(counters=counters)
        states: list[StoreHealth] = []
        store.when_health_changes(states.append)
        self.provoke(store)
        kept = self.waiting(store)
        self.assertEqual(len(kept), LETTERS - 20)
        self.assertEqual(counters.of("store_damage_total", what="envelope"), 20)
        self.assertEqual(
            [it.state for it in states], [StoreState.OK, StoreState.DAMAGED, StoreState.OK]
        )
        # What others bring is taken as new; what was acked stays acked.
        lost = [it for it in self.letters if it.envelope.id not in kept]
        puts = self.result(store.put_envelopes([it.envelope for it in lost], NOW))
        self.assertEqual(puts, [Put("stored")] * 20)
        puts = self.result(store.put_envelopes([self.acked[0].envelope], NOW))
        self.assertEqual(puts, [Put("acked", self.acked[0].secret)])
        self.assertEqual(self.aside(), ["node.db.damaged-1"])
        self.result(store.close())
        self.assert_sound()

    def test_an_index_alone(self) -> None:
        """Nothing is lost: it is made anew from the table."""
        for number, name in enumerate(("envelope_place", "envelope_expires", "tombstone_place")):
            self.spoil(self.pages_of(name))
            counters = Tally()
            store = self.open(counters=counters)
            self.provoke(store)
            self.assertEqual(len(self.waiting(store)), LETTERS, name)
            totals = self.result(store.totals())
            self.assertEqual((totals.tombstones, totals.records, totals.blobs), (52, 8, 3))
            self.assertEqual(counters.of("store_damage_total", what="envelope"), 0)
            self.assertEqual(len(self.aside()), number + 1)
            self.result(store.close())
            self.assert_sound()

    def test_why_reindex_does_not_do(self) -> None:
        """It walks the damaged pages of the old index and fails on them."""
        self.spoil(self.pages_of("envelope_place"))
        with (
            closing(sqlite3.connect(self.path)) as other,
            self.assertRaisesRegex(sqlite3.DatabaseError, "malformed"),
        ):
            other.execute("REINDEX envelope_place")

    def test_the_root_of_a_table(self) -> None:
        """All of that table is lost, and the others are kept; the index tells how much it was."""
        self.spoil(self.pages_of("envelope")[:1])
        counters = Tally()
        store = self.open(counters=counters)
        self.provoke(store)
        self.assertEqual(self.waiting(store), set())
        self.assertEqual(counters.of("store_damage_total", what="envelope"), LETTERS)
        totals = self.result(store.totals())
        self.assertEqual((totals.tombstones, totals.records, totals.blobs), (52, 8, 3))

    def test_the_root_of_any_table(self) -> None:
        """Costs a few reads, not one for each row that there might be: also where the table was
        empty, and where its indexes are garbage as well."""
        whole = self.path.read_bytes()
        tables = self.names("table")
        self.assertGreater(len(tables), 8)
        for table in tables:
            for alone in (True, False):
                self.path.write_bytes(whole)
                gone = self.pages_of(table)[:1]
                if not alone:
                    gone += [page for i in self.names("index", table) for page in self.pages_of(i)]
                self.spoil(gone)
                reads = self.mended_with()
                self.assertLess(reads, 6000, (table, alone))

    def test_the_ends_of_a_table_without_its_indexes(self) -> None:
        """Nothing tells how many rows there were: those in the middle are found all the same."""
        leaves = self.pages_of("envelope")[1:]
        indexes = [page for i in self.names("index", "envelope") for page in self.pages_of(i)]
        self.spoil([*leaves[:20], *leaves[-20:], *indexes, *self.pages_of("sqlite_sequence")])
        self.mended_with()
        store = self.open()
        self.assertEqual(len(self.waiting(store)), LETTERS - 40)

    def test_the_ends_of_a_table_that_does_not_count_its_numbers(self) -> None:
        """No more is known of it than of one whose count is damaged: it is not taken for empty."""
        store = self.open()
        many = [letter(7000 + n) for n in range(400)]
        self.result(store.put_tombstones([it.tombstone for it in many], NOW))
        self.result(store.close())
        leaves = self.pages_of("tombstone")[1:]
        indexes = [page for i in self.names("index", "tombstone") for page in self.pages_of(i)]
        with closing(sqlite3.connect(self.path)) as other:
            rows = [row for (row,) in other.execute("SELECT rowid FROM tombstone ORDER BY rowid")]
        self.assertGreater(len(leaves), 8)
        self.spoil([leaves[1], leaves[-1], *indexes])
        self.mended_with()
        with closing(sqlite3.connect(self.path)) as other:
            (kept,) = other.execute("SELECT count(*) FROM tombstone").fetchone()
        self.assertGreater(kept, len(rows) * (len(leaves) - 3) // len(leaves))

    def names(self, kind: str, table: str = "") -> list[str]:
        """Of the tables, or of the indexes of one."""
        with closing(sqlite3.connect(self.path)) as other:
            rows = other.execute(
                "SELECT name FROM sqlite_schema WHERE type = ? AND tbl_name LIKE ?"
                " AND name NOT LIKE 'sqlite_sequence'",
                (kind, table or "%"),
            )
            return [name for (name,) in rows]

    def mended_with(self) -> int:
        """Mend it; how many statements were run on the damaged file."""
        statements = 0

        def reading(path: Path) -> sqlite3.Connection:
            def count(statement: str) -> None:
                nonlocal statements
                statements += 1

            source = _reading(path)
            source.set_trace_callback(count)
            return source

        self.patch(mending, "_reading", reading)
        mend(self.path, packaged_steps())
        self.patch(mending, "_reading", _reading)
        return statements

    def test_a_disk_that_is_gone_when_it_is_mended(self) -> None:
        """The store says so, and does not wait for a mending that is over."""
        self.spoil(self.pages_of("envelope")[40:60])
        store = self.open()

        def gone() -> None:
            raise OSError("no such device")

        self.patch(store, "_open", gone)
        listed = store.get_envelopes(mailbox(1), [it.envelope.id for it in self.letters], NOW)
        with self.assertRaises(StoreError):
            self.result(listed)
        self.becomes(store, StoreState.FAILING)
        self.assertIn("no such device; restart", store.health.detail)

    def test_a_flipped_bit(self) -> None:
        """In a body, where SQLite sees nothing: the envelope is not served as if it were whole."""
        content = bytearray(self.path.read_bytes())
        at = content.index(self.letters[7].envelope.blob[:64])
        content[at + 1000] ^= 0x10
        self.path.write_bytes(content)
        counters = Tally()
        store = self.open(counters=counters)
        self.provoke(store)
        expected = {it.envelope.id for it in self.letters} - {self.letters[7].envelope.id}
        self.assertEqual(self.waiting(store), expected)
        self.assertEqual(counters.of("store_damage_total", what="envelope"), 1)

    def test_the_first_page(self) -> None:
        """Nothing is lost: it stands a second time beside the file."""
        self.spoil([1])
        store = self.open()
        self.assertEqual(len(self.waiting(store)), LETTERS)
        totals = self.result(store.totals())
        self.assertEqual((totals.tombstones, totals.records, totals.blobs), (52, 8, 3))
        self.assertEqual(self.result(store.next_boot(NOW)), int(NOW) + 1)

    def test_any_page_of_the_schema(self) -> None:
        """It does not fit on the first page; the others are kept a second time, too."""
        whole = self.path.read_bytes()
        pages = self.schema_pages()
        self.assertGreater(len(pages), 1)
        for gone in (*([page] for page in pages), [1, *pages]):
            self.path.write_bytes(whole)
            self.spoil(gone)
            counters = Tally()
            store = self.open(counters=counters)
            self.assertEqual(len(self.waiting(store)), LETTERS)
            totals = self.result(store.totals())
            self.assertEqual((totals.tombstones, totals.records, totals.blobs), (52, 8, 3))
            self.result(store.close())

    def schema_pages(self) -> list[int]:
        """Those below the first one."""
        first = self.path.read_bytes()[:PAGE_BYTES]
        self.assertEqual(first[100], 5)
        cells = int.from_bytes(first[103:105])
        at = [int.from_bytes(first[112 + 2 * n : 114 + 2 * n]) for n in range(cells)]
        return [
            *(int.from_bytes(first[start : start + 4]) for start in at),
            int.from_bytes(first[108:112]),
        ]

    def test_a_bit_of_the_header(self) -> None:
        """Any one: the store opens, and has everything."""
        whole = self.path.read_bytes()
        for at in range(100):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            self.path.write_bytes(damaged)
            store = self.open()
            try:
                found = self.waiting(store)
            except StoreError:
                self.becomes(store, StoreState.OK)
                found = self.waiting(store)
            self.assertEqual(len(found), LETTERS, at)
            self.result(store.close())

    def test_a_hopeless_file(self) -> None:
        """Without that copy it is set aside, whole; a new one begins, and the boot is higher."""
        before = self.path.stat().st_size
        self.path.with_name("node.db.first-page").unlink()
        self.spoil([1])
        spoiled = self.path.read_bytes()
        store = self.open()
        self.assertEqual(self.waiting(store), set())
        self.assertEqual(self.result(store.next_boot(NOW + 100)), int(NOW) + 100)
        puts = self.result(store.put_envelopes([it.envelope for it in self.letters], NOW))
        self.assertEqual(puts, [Put("stored")] * LETTERS)
        aside = self.path.with_name("node.db.damaged-1")
        self.assertEqual(aside.stat().st_size, before)
        self.assertEqual(aside.read_bytes()[PAGE_BYTES:], spoiled[PAGE_BYTES:])

    def test_a_torn_file(self) -> None:
        """Half of it is not served as if it were the whole."""
        os.truncate(self.path, self.path.stat().st_size // 2)
        store = self.open()
        self.assertIn("node.db.damaged-1", self.aside())
        kept = self.waiting(store)
        self.assertTrue(0 < len(kept) < LETTERS, len(kept))

    def test_a_file_that_shrinks_under_the_store(self) -> None:
        """While it runs."""
        store = self.open()
        os.truncate(self.path, self.path.stat().st_size // 2)
        self.provoke(store)
        self.assertTrue(0 < len(self.waiting(store)) < LETTERS)

    def test_a_writer_meets_it(self) -> None:
        """The put fails, is not lost, and is taken when the store is mended."""
        self.spoil(self.pages_of("envelope_place"))
        store = self.open()
        one = letter(5000)
        with self.assertRaises(StoreError):
            self.result(store.put_envelopes([one.envelope], NOW))
        self.becomes(store, StoreState.OK)
        self.assertEqual(self.result(store.put_envelopes([one.envelope], NOW)), [Put("stored")])
        self.assertEqual(len(self.result(store.list_mailbox(mailbox(1), 0, 999, NOW))), LETTERS + 1)

    def test_a_number_is_not_given_twice(self) -> None:
        """Though the newest rows are lost: who lists after the last one must see what comes."""
        self.spoil(self.pages_of("envelope")[-20:])
        store = self.open()
        self.provoke(store)
        self.result(store.put_envelopes([letter(6000).envelope], NOW))
        listed = self.result(store.list_mailbox(mailbox(1), LETTERS, 9, NOW))
        self.assertEqual([it.id for it in listed], [letter(6000).envelope.id])

    def test_closing_waits_for_the_mending(self) -> None:
        """And what was asked meanwhile has failed, not hung."""
        self.spoil(self.pages_of("envelope")[40:60])
        store = self.open()
        read = store.get_envelopes(mailbox(1), [it.envelope.id for it in self.letters], NOW)
        with self.assertRaises(StoreError):
            self.result(read)
        late = store.totals()
        self.result(store.close())
        with self.assertRaisesRegex(StoreError, "mended"):
            self.result(late)
        self.assert_sound()

    def test_a_disk_that_goes_on_spoiling(self) -> None:
        """Is mended so often, and then left as it is, with a word."""
        store = self.open()
        ids = [self.letters[7].envelope.id]
        for number in range(MAX_MENDS + 1):
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                self.result(store.put_envelopes([self.letters[7].envelope], NOW))
                other.execute("UPDATE envelope SET body = zeroblob(3630) WHERE id = ?", ids)
            with self.assertRaises(StoreError):
                self.result(store.get_envelopes(mailbox(1), ids, NOW))
            left = number == MAX_MENDS
            self.becomes(store, StoreState.DAMAGED if left else StoreState.OK)
        self.assertEqual(len(self.aside()), MAX_MENDS)

    def test_no_room_for_the_copy(self) -> None:
        """The damaged file stays and serves what it can; the operator hears it."""
        self.spoil(self.pages_of("envelope")[40:60])
        # The place of the copy is taken by something that cannot be replaced.
        self.path.with_name("node.db.mending").mkdir()
        store = self.open()
        healths: list[StoreHealth] = []
        store.when_health_changes(healths.append)
        with self.assertRaises(StoreError):
            self.result(
                store.get_envelopes(mailbox(1), [it.envelope.id for it in self.letters], NOW)
            )
        self.becomes(store, StoreState.DAMAGED, "cannot be mended")
        whole = [self.letters[0].envelope.id]
        self.assertEqual(
            self.result(store.get_envelopes(mailbox(1), whole, NOW)), [self.letters[0].envelope]
        )
        self.assertEqual(self.aside(), [])

    def test_cut_off_while_mending(self) -> None:
        """At every step of the exchange: the next start completes it, and no log meets a file that
        is not its own.
        """
        self.spoil(self.pages_of("envelope")[40:60])
        original = self.path.read_bytes()
        mended = mend(self.path, packaged_steps())
        whole = self.path.read_bytes()
        self.assertEqual(mended.kept["envelope"], LETTERS - 20)
        for present in (("node.db", "node.db-wal"), ("node.db-wal",), ()):
            for file in self.path.parent.iterdir():
                file.unlink()
            for name in present:
                self.path.with_name(name).write_bytes(original)
            self.path.with_name("node.db.mended").write_bytes(whole)
            finish(self.path)
            self.assertEqual(self.path.read_bytes(), whole)
            self.assertFalse(self.path.with_name("node.db-wal").exists())
            self.assertFalse(self.path.with_name("node.db.mended").exists())
            self.assertEqual(len(self.aside()), len(present))

    def test_an_older_schema(self) -> None:
        """It is mended as it is, and brought up afterwards."""
        self.path = self.path.with_name("old.db")
        prepare(self.path, packaged_steps()[:1])
        with closing(connect(self.path, cache_kib=1024, synchronous="off")) as old:
            old.executemany(
                "INSERT INTO envelope (mailbox, id, expires, body) VALUES (?, ?, ?, ?)",
                [
                    (e.mailbox, e.id, e.expires_hours, e.encoded)
                    for e in (it.envelope for it in self.letters)
                ],
            )
        self.spoil(self.pages_of("envelope")[40:60])
        mended = mend(self.path, packaged_steps())
        self.assertEqual(mended.kept["envelope"], LETTERS - 20)
        store = self.open()
        self.assertEqual(len(self.waiting(store)), LETTERS - 20)
        self.assertEqual(self.result(store.put_blobs([blob(1)], NOW)), [Put("stored")])


class LogTests(StoreFiles):
    """The write-ahead log, damaged."""

    def left_behind(self, groups: int) -> Path:
        """The files of a store that ended without closing: ``groups`` commits are in its log."""
        store = self.open()
        for n in range(groups):
            self.result(store.put_envelopes([letter(n).envelope], NOW))
        place = Path(self.mktemp())
        place.mkdir()
        for part in ("node.db", "node.db-wal"):
            (place / part).write_bytes(self.path.with_name(part).read_bytes())
        return place / "node.db"

    def test_a_whole_log(self) -> None:
        """Nothing is missing; and nothing where there is none."""
        path = self.left_behind(20)
        self.assertEqual(unread_frames(path), 0)
        self.assertEqual(unread_frames(path), 0)

    def test_a_damaged_frame(self) -> None:
        """What stands behind it is counted."""
        for place, least in ((0.5, 5), (0.0, 20)):
            path = self.left_behind(20)
            log = path.with_name("node.db-wal")
            content = bytearray(log.read_bytes())
            content[32 + 24 + int((len(content) - 200) * place)] ^= 1
            log.write_bytes(content)
            self.assertGreaterEqual(unread_frames(path), least)
            self.path = self.path.with_name(f"{place}.db")

    def test_a_damaged_header(self) -> None:
        """Nothing of the log is read, so all of it is counted."""
        path = self.left_behind(20)
        log = path.with_name("node.db-wal")
        content = bytearray(log.read_bytes())
        content[20] ^= 1
        log.write_bytes(content)
        self.assertGreaterEqual(unread_frames(path), 20)

    def test_a_log_that_began_anew(self) -> None:
        """What is left over of the time before is not missed."""
        store = self.open()
        for n in range(50):
            self.result(store.put_envelopes([letter(n).envelope], NOW))
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self.result(store.put_envelopes([letter(99).envelope], NOW))
        place = Path(self.mktemp())
        place.mkdir()
        for part in ("node.db", "node.db-wal"):
            (place / part).write_bytes(self.path.with_name(part).read_bytes())
        self.assertEqual(unread_frames(place / "node.db"), 0)

    def test_it_is_told(self) -> None:
        """By the store that opens the file."""
        path = self.left_behind(20)
        log = path.with_name("node.db-wal")
        content = bytearray(log.read_bytes())
        content[len(content) // 2] ^= 1
        log.write_bytes(content)
        counters = Tally()
        self.path = path
        store = self.open(counters=counters)
        self.assertGreater(counters.of("store_damage_total", what="log"), 0)
        listed = self.result(store.list_mailbox(mailbox(1), 0, 99, NOW))
        self.assertTrue(0 < len(listed) < 20, len(listed))
