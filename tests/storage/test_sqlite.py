"""The store on disk keeps the contract, and what it acknowledges survives."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

import tace
from tace.errors import StartError, StoreError
from tace.seams import KnownPeer, Put
from tace.storage.rules import Quotas
from tace.storage.schema.sqlite import connect, packaged_steps, prepare
from tace.storage.sqlite import (
    MAX_OBJECTS_A_COMMIT,
    MAX_OBJECTS_WAITING,
    MIN_MAX_BYTES,
    SqliteStore,
)
from tace.storage.writes.blobs import PAGES_A_BLOB
from tace.storage.writes.sqlite import Change, PutEnvelopes, PutTombstones, Writes
from tests.storage.acknowledging_process import BLOB_EVERY
from tests.storage.blob_contract import BlobContract
from tests.storage.objects import NOW, at, blob, letter, mailbox, peer, record, removal
from tests.storage.pump import Pump
from tests.storage.range_contract import RangeContract

T = TypeVar("T")
ROOT = Path(tace.__file__).parent.parent


class _Files(SynchronousTestCase):
    """Stores in one directory of the test's."""

    def setUp(self) -> None:
        """Nothing is open yet."""
        self.pump = Pump()
        self.path = Path(self.mktemp()) / "node.db"
        self.path.parent.mkdir()

    def result(self, deferred: Deferred[T]) -> T:
        """What the Deferred comes to."""
        return self.pump.result(deferred)

    def open(self, **settings: object) -> SqliteStore:
        """The store in the directory; closed after the test."""
        store = SqliteStore(self.path, self.pump, **{"synchronous": "off", **settings})  # type: ignore[arg-type]
        self.addCleanup(lambda: self.result(store.close()))
        return store

    def refusal(self, **settings: object) -> str:
        """Why it does not open: one line."""
        with self.assertRaises(StartError) as caught:
            self.open(**settings)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    @contextmanager
    def writer_held_up(self) -> Iterator[None]:
        """Somebody else has the database's write lock."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")


class SqliteStoreTests(RangeContract, BlobContract, _Files):
    """The contract."""

    def setUp(self) -> None:
        """An empty store without bounds."""
        _Files.setUp(self)
        RangeContract.setUp(self)

    def make_store(self, **settings: int) -> SqliteStore:
        """Each in a directory of its own."""
        self.path = Path(self.mktemp()) / "node.db"
        self.path.parent.mkdir()
        return self.open(**settings)

    def result(self, deferred: Deferred[T]) -> T:
        """What the Deferred comes to."""
        return self.pump.result(deferred)


class _NotingPump(Pump):
    """Notes when another thread hands something over."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        self._events.append("answers")
        super().callFromThread(callable, *args, **kwargs)


class CommitTests(_Files):
    """Many writes, one commit, and no answer before it."""

    def test_writes_that_wait_share_a_commit(self) -> None:
        """What arrives while the writer is busy is written in one transaction."""
        store = self.open()
        with self.writer_held_up():
            answers = [store.put_envelopes([letter(n).envelope], NOW) for n in range(300)]
            answers += [store.put_tombstones([letter(n).tombstone], NOW) for n in range(100)]
        for answer in answers:
            self.assertEqual(self.result(answer), [Put("stored")])
        # The first turn may have begun with what was there when the writer woke up.
        self.assertLessEqual(store.commits, 2)

    def test_a_commit_is_bounded(self) -> None:
        """However much waits, one transaction takes only so many objects."""
        store = self.open()
        with self.writer_held_up():
            answers = [
                store.put_envelopes([letter(16 * n + m).envelope for m in range(16)], NOW)
                for n in range(80)
            ]
        for answer in answers:
            self.result(answer)
        self.assertGreaterEqual(store.commits, 1280 // MAX_OBJECTS_A_COMMIT)

    def test_no_answer_before_the_commit(self) -> None:
        """In the writer's thread: begin, commit, and only then the answers, turn after turn."""
        events: list[str] = []
        self.pump = _NotingPump(events)
        store = self.open(trace=lambda text: events.append(text.split()[0]))
        for answer in [store.put_envelopes([letter(n).envelope], NOW) for n in range(50)]:
            self.result(answer)
        with closing(sqlite3.connect(self.path)) as other:
            rows = other.execute("SELECT count(*) FROM envelope").fetchone()
        self.assertEqual(rows, (50,))
        self.result(store.close())
        words = [word for word in events if word in ("BEGIN", "COMMIT", "answers")]
        turn = ["BEGIN", "COMMIT", "answers"]
        self.assertEqual(words[: 3 * store.commits], turn * store.commits)

    def test_concurrent_puts_of_one_message_agree(self) -> None:
        """One is stored, the others are duplicates; an ack in the same turn comes after."""
        store = self.open()
        one = letter(1)
        with self.writer_held_up():
            puts = [store.put_envelopes([one.envelope], NOW) for _ in range(5)]
            ack = store.put_tombstones([one.tombstone], NOW)
        codes = sorted(self.result(put)[0].code for put in puts)
        self.assertEqual(codes, ["duplicate"] * 4 + ["stored"])
        self.assertEqual(self.result(ack), [Put("stored")])
        self.assertEqual(self.result(store.list_mailbox(mailbox(1), 0, 9, NOW)), [])

    def test_order_is_kept_round_other_changes(self) -> None:
        """A put after a drop is not dropped, though both are in one turn."""
        store = self.open()
        one = letter(1)
        with self.writer_held_up():
            store.put_envelopes([one.envelope], NOW)
            store.drop_items([one.item])
            last = store.put_envelopes([one.envelope], NOW)
        self.assertEqual(self.result(last), [Put("stored")])
        self.assertEqual(len(self.result(store.list_mailbox(mailbox(1), 0, 9, NOW))), 1)

    def test_one_bad_write_fails_alone(self) -> None:
        """Its neighbours in the turn are written all the same."""
        store = self.open()
        bad = KnownPeer(bytes(32), None, 1.0)  # type: ignore[arg-type]
        with self.writer_held_up():
            before = store.put_envelopes([letter(1).envelope], NOW)
            guilty = store.save_peers([peer(1, 1.0), bad])
            after = store.put_envelopes([letter(2).envelope], NOW)
        self.assertEqual(self.result(before) + self.result(after), [Put("stored")] * 2)
        with self.assertRaises(StoreError):
            self.result(guilty)
        self.assertEqual(self.result(store.load_peers()), [])
        self.assertEqual(self.result(store.totals()).envelopes, 2)

    def test_what_waits_is_bounded(self) -> None:
        """Beyond it a write fails at once; when the others are through there is room again."""
        store = self.open()
        one = letter(1).envelope
        with self.writer_held_up():
            first = store.put_envelopes([one] * MAX_OBJECTS_WAITING, NOW)
            with self.assertRaisesRegex(StoreError, "too far behind"):
                self.result(store.put_envelopes([one], NOW))
        self.result(first)
        self.assertEqual(self.result(store.put_envelopes([one], NOW)), [Put("duplicate")])

    def test_close_finishes_what_was_asked(self) -> None:
        """Every call before close is answered, and kept."""
        store = self.open()
        with self.writer_held_up():
            puts = [store.put_envelopes([letter(n).envelope], NOW) for n in range(600)]
            closed = store.close()
        self.result(closed)
        self.assertEqual([self.successResultOf(put) for put in puts], [[Put("stored")]] * 600)
        self.assertEqual(self.result(self.open().totals()).envelopes, 600)

    def test_blobs_weigh_what_they_are(self) -> None:
        """So many bytes wait as of envelopes, and one transaction takes so many."""
        store = self.open()
        fits = MAX_OBJECTS_WAITING // PAGES_A_BLOB
        with self.writer_held_up():
            first = store.put_blobs([blob(1)] * fits, NOW)
            with self.assertRaisesRegex(StoreError, "too far behind"):
                self.result(store.put_blobs([blob(1)], NOW))
        self.assertEqual(len(self.result(first)), fits)

    def test_the_log_stays_small(self) -> None:
        """Checkpoints come between commits, so the write-ahead log does not grow for ever."""
        store = self.open(max_bytes=64 * 1024 * 1024)
        for first in range(0, 6000, 500):
            group = [letter(n) for n in range(first, first + 500)]
            self.result(store.put_envelopes([it.envelope for it in group], NOW))
            self.result(store.put_tombstones([it.tombstone for it in group], NOW))
        log = self.path.with_name("node.db-wal").stat().st_size
        self.assertLess(log, 16 * 1024 * 1024)


class RemovalTests(_Files):
    """A removal's bytes are kept as long as a tombstone needs them, and once."""

    def kept(self) -> int:
        """How many removals the file holds."""
        with closing(sqlite3.connect(self.path)) as other:
            (rows,) = other.execute("SELECT count(*) FROM removal").fetchone()
        return int(rows)

    def test_removals_are_kept_while_needed(self) -> None:
        """They go with the last tombstone: replaced, dropped or expired."""
        store = self.open()
        one, two, three = letter(1), letter(2), letter(3)
        words = removal(one, two)
        self.result(store.put_removals([words, removal(three), words], NOW))
        self.assertEqual(self.kept(), 2)
        self.result(store.put_tombstones([one.tombstone], NOW))
        self.assertEqual(self.kept(), 2)
        self.result(store.drop_items([two.buried_item]))
        self.assertEqual(self.kept(), 1)
        self.result(store.expire(at(100)))
        self.assertEqual(self.kept(), 0)


class ReadTests(_Files):
    """What a reader sees, and how it finds it."""

    def test_answered_writes_are_seen(self) -> None:
        """A read that is asked after the answer sees the write."""
        store = self.open()
        for n in range(50):
            self.result(store.put_envelopes([letter(n).envelope], NOW))
            self.assertEqual(len(self.result(store.list_mailbox(mailbox(1), 0, 99, NOW))), n + 1)

    def test_nothing_walks_through_a_table(self) -> None:
        """Every statement finds its rows by an index; only counting walks (along an index)."""
        statements: list[str] = []
        store = self.open(trace=statements.append)
        letters = [letter(n) for n in range(3)]
        words, it = removal(letters[2]), record(1, 1)
        everything: list[Deferred[Any]] = [
            store.put_envelopes([it.envelope for it in letters], NOW),
            store.put_tombstones([letters[1].tombstone], NOW),
            store.put_removals([words], NOW),
            store.put_records([it], NOW),
            store.list_mailbox(mailbox(1), 0, 9, NOW),
            store.get_envelopes(mailbox(1), [letters[0].envelope.id], NOW),
            store.get_record(it.key, NOW),
            store.get_items([letters[0].item, letters[1].buried_item], NOW),
            store.drop_items([letters[0].item, letters[1].buried_item]),
            store.expire(at(1000)),
        ]
        for answer in everything:
            self.result(answer)
        # Everything, or everything behind some row.
        walks = r"SCAN (envelope|tombstone|removal|record)\b|rowid>"
        with closing(sqlite3.connect(self.path)) as other:
            for statement in statements:
                if statement.split()[0] in ("BEGIN", "COMMIT", "PRAGMA", "--"):
                    continue
                plan = other.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                steps = "\n".join(str(step[3]) for step in plan)
                self.assertIsNone(re.search(walks, steps), statement[:200] + steps)

    def test_a_damaged_page_is_an_error(self) -> None:
        """Never an empty answer."""
        store = self.open()
        self.result(store.put_envelopes([letter(n).envelope for n in range(200)], NOW))
        self.result(store.close())
        size = self.path.stat().st_size
        with self.path.open("r+b") as file:
            # Behind the schema and the few pages that opening reads.
            file.seek(40 * 4096)
            file.write(b"\xff" * (size - 40 * 4096))
        store = self.open()
        ids = [letter(n).envelope.id for n in range(200)]
        with self.assertRaisesRegex(StoreError, "malformed"):
            self.result(store.get_envelopes(mailbox(1), ids, NOW))

    def test_damaged_bytes_are_an_error(self) -> None:
        """What no longer is what was stored is not served, nor passed over."""
        store = self.open()
        it = record(1, 1)
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        self.result(store.put_records([it], NOW))
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("UPDATE envelope SET body = substr(body, 2)")
            other.execute("UPDATE record SET encoded = zeroblob(200)")
        envelopes = store.get_envelopes(mailbox(1), [letter(1).envelope.id], NOW)
        record_ = store.get_record(it.key, NOW)
        with self.assertRaisesRegex(StoreError, "damaged"):
            self.result(envelopes)
        with self.assertRaisesRegex(StoreError, "damaged"):
            self.result(record_)

    def test_a_damaged_blob_is_an_error(self) -> None:
        """It is not served, whatever is wrong with it; the others are."""
        for damage in (blob(1).data[1:], blob(1).data[1:] + b"x"):
            self.path = self.path.with_name(f"{len(damage)}.db")
            store = self.open()
            self.result(store.put_blobs([blob(1), blob(2)], NOW))
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                other.execute("UPDATE blob SET data = ? WHERE hash = ?", (damage, blob(1).hash))
            good, bad = (store.get_blob(blob(n).hash, NOW) for n in (2, 1))
            self.assertEqual(self.result(good), blob(2))
            with self.assertRaisesRegex(StoreError, "damaged"):
                self.result(bad)


class OpeningTests(_Files):
    """One process a directory; schema steps; files that are not ours."""

    def test_it_is_there_after_closing(self) -> None:
        """Every kind of thing survives; the sequence goes on."""
        store = self.open()
        letters = [letter(n) for n in range(4)]
        words, it = removal(letters[2]), record(1, 1)
        self.result(store.put_envelopes([it.envelope for it in letters], NOW))
        self.result(store.put_tombstones([letters[3].tombstone], NOW))
        self.result(store.put_removals([words], NOW))
        self.result(store.put_records([it], NOW))
        self.result(store.save_peers([peer(1, 1.0)]))
        self.result(store.next_boot(NOW))
        self.result(store.close())
        self.assertEqual(
            sorted(path.name for path in self.path.parent.iterdir()),
            ["node.db", "node.db.first-page", "node.db.lock"],
        )

        store = self.open()
        found = self.result(
            store.get_items([it.buried_item for it in letters] + [letters[0].item], NOW)
        )
        self.assertEqual(found, ([letters[0].envelope], [letters[3].tombstone], [words], []))
        self.assertEqual(self.result(store.get_record(it.key, NOW)), it)
        self.assertEqual(self.result(store.load_peers()), [peer(1, 1.0)])
        self.assertEqual(self.result(store.next_boot(NOW)), int(NOW) + 1)
        self.result(store.put_envelopes([letter(9).envelope], NOW))
        listed = self.result(store.list_mailbox(mailbox(1), 0, 9, NOW))
        self.assertEqual([it.sequence for it in listed], [1, 2, 5])

    def test_files_are_the_nodes_alone(self) -> None:
        """Mailbox ids are nobody else's business."""
        store = self.open()
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        modes = {path.name: path.stat().st_mode & 0o777 for path in self.path.parent.iterdir()}
        self.assertEqual(set(modes.values()), {0o600}, modes)

    def test_one_directory_is_one_node(self) -> None:
        """A second one does not start while the first one lives, and says whose it is."""
        store = self.open()
        self.assertIn(f"process {os.getpid()}", self.refusal())
        self.result(store.close())
        self.open()

    def test_durability_is_what_was_set(self) -> None:
        """``full`` waits for the disk at each commit."""
        self.open()
        levels = []
        for synchronous in ("full", "off"):
            connection = connect(self.path, cache_kib=1024, synchronous=synchronous)
            with closing(connection):
                levels += connection.execute("PRAGMA synchronous").fetchone()
                (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
                self.assertEqual(journal, "wal")
        self.assertEqual(levels, [2, 0])

    def test_an_older_schema_is_brought_up_after_a_copy(self) -> None:
        """Each step in turn, once; the copy still has the old schema and what was in it."""
        store = self.open()
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        self.result(store.close())
        steps = packaged_steps()
        more = [*steps, "ALTER TABLE peer ADD COLUMN zone TEXT", "CREATE TABLE extra (a)"]
        for _ in range(2):
            prepare(self.path, more)
        with closing(sqlite3.connect(self.path)) as now:
            self.assertEqual(now.execute("PRAGMA user_version").fetchone(), (len(more),))
            self.assertEqual(now.execute("SELECT count(*) FROM envelope").fetchone(), (1,))
            self.assertEqual(now.execute("SELECT zone FROM peer").fetchall(), [])
        copy = self.path.with_name(f"node.db.schema-{len(steps)}")
        with closing(sqlite3.connect(copy)) as before:
            self.assertEqual(before.execute("PRAGMA user_version").fetchone(), (len(steps),))
            self.assertEqual(before.execute("SELECT count(*) FROM envelope").fetchone(), (1,))
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)

    def test_the_store_of_a_node_without_blobs_takes_them(self) -> None:
        """A file of the first schema, with what was in it."""
        prepare(self.path, packaged_steps()[:1])
        with closing(sqlite3.connect(self.path, isolation_level=None)) as before:
            one = letter(1).envelope
            before.execute(
                "INSERT INTO envelope (mailbox, id, expires, body) VALUES (?, ?, ?, ?)",
                (one.mailbox, one.id, one.expires_hours, one.encoded),
            )
        store = self.open()
        self.assertEqual(self.result(store.put_blobs([blob(1)], NOW)), [Put("stored")])
        self.assertEqual(self.result(store.get_envelopes(one.mailbox, [one.id], NOW)), [one])
        self.assertEqual(self.result(store.get_blob(blob(1).hash, NOW)), blob(1))

    def test_a_step_that_fails_changes_nothing(self) -> None:
        """It is one transaction: the node does not start, and the old file still works."""
        self.result(self.open().close())
        steps = packaged_steps()
        with self.assertRaisesRegex(StartError, "no such table"):
            prepare(self.path, [*steps, "CREATE TABLE half (a); DROP TABLE nowhere"])
        with closing(sqlite3.connect(self.path)) as now:
            self.assertEqual(now.execute("PRAGMA user_version").fetchone(), (len(steps),))
            tables = now.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'")
            self.assertEqual(tables.fetchone(), (0,))
        self.result(self.open().totals())

    def test_a_newer_schema_is_refused(self) -> None:
        """An older program must not write to it."""
        self.result(self.open().close())
        with closing(sqlite3.connect(self.path)) as newer:
            newer.execute("CREATE TABLE further (a)")
            newer.execute("PRAGMA user_version = 99")
        self.assertIn("newer tace (schema 99", self.refusal())

    def test_other_files_are_refused(self) -> None:
        """Another program's database, and no database at all."""
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("CREATE TABLE theirs (a)")
        self.assertIn("not a database of tace", self.refusal())
        self.path.write_bytes(b"once upon a time" * 1000)
        self.assertIn("not a database", self.refusal())

    def test_impossible_places_and_bounds_are_refused(self) -> None:
        """In one line that names the path."""
        self.assertIn("max_bytes", self.refusal(max_bytes=4096))
        self.path = self.path / "below" / "a" / "file.db"
        self.assertIn(str(self.path), self.refusal())

    def test_a_budget_below_what_is_there(self) -> None:
        """Nothing new comes in, what is there goes out, and the node starts."""
        store = self.open(mailbox_max_items=10_000)
        letters = [letter(n) for n in range(600)]
        self.result(store.put_envelopes([it.envelope for it in letters], NOW))
        self.result(store.close())
        store = self.open(max_bytes=MIN_MAX_BYTES)
        self.assertEqual(self.result(store.next_boot(NOW)), int(NOW))
        self.assertEqual(
            self.result(store.put_envelopes([letter(1000).envelope], NOW)), [Put("full")]
        )
        acks = self.result(store.put_tombstones([it.tombstone for it in letters], NOW))
        self.assertEqual(acks, [Put("stored")] * 600)


class DiskTests(_Files):
    """What the writer answers when the disk says no."""

    def writes(self, **settings: object) -> tuple[sqlite3.Connection, Writes]:
        """A writer without its thread."""
        prepare(self.path, packaged_steps())
        database = connect(self.path, cache_kib=1024, synchronous="off")
        self.addCleanup(database.close)
        return database, Writes(database, max_bytes=0, quotas=Quotas(9999, 9999))

    def test_no_room_on_the_disk_is_full(self) -> None:
        """Only for what does not fit; nothing of it stays, and the others are written."""
        database, writes = self.writes()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages + 8}")
        many = PutEnvelopes([letter(n).envelope for n in range(100)], NOW)
        one = PutEnvelopes([letter(200).envelope], NOW)
        peers = Change(lambda it: it.save_peers([peer(n, 1.0) for n in range(2000)]))
        answers = writes.take_turn([many, peers, one])
        self.assertEqual(answers[0], [Put("full")] * 100)
        self.assertIsInstance(answers[1], StoreError)
        self.assertEqual(answers[2], [Put("stored")])
        rows = database.execute("SELECT count(*) FROM envelope")
        self.assertEqual(rows.fetchone(), (1,))

    def test_a_failing_disk_fails_the_whole_turn(self) -> None:
        """At once, without a try for each; later turns are tried again."""
        database, writes = self.writes()
        database.execute("PRAGMA query_only = ON")
        turn = [PutEnvelopes([letter(n).envelope], NOW) for n in range(3)]
        statements: list[str] = []
        database.set_trace_callback(statements.append)
        answers = writes.take_turn(turn)
        self.assertLessEqual(len([it for it in statements if it.startswith("BEGIN")]), 1)
        self.assertTrue(all(isinstance(answer, StoreError) for answer in answers), answers)
        database.execute("PRAGMA query_only = OFF")
        self.assertEqual(writes.take_turn(turn), [[Put("stored")]] * 3)

    def test_the_log_stays_small_with_blobs(self) -> None:
        """A blob counts for as much of the log as it takes, also while others always wait."""
        database, _ = self.writes()
        writes = Writes(database, max_bytes=64 * 1024 * 1024, quotas=Quotas(9999, 9999))
        for number in range(400):
            one = blob(number)
            put = Change(lambda it, one=one: [it.put_blob(one, NOW)])  # type: ignore[misc]
            self.assertEqual(writes.take_turn([put]), [[Put("stored")]])
            writes.afterwards(False)
        log = self.path.with_name(self.path.name + "-wal")
        self.assertLess(log.stat().st_size, 12 * 1024 * 1024)

    def test_no_room_on_the_disk_for_a_blob(self) -> None:
        """It is ``full``, alone; a later expiry of one that is there still fits."""
        database, writes = self.writes()
        put = Change(lambda it: [it.put_blob(blob(1), NOW)], [Put("full")])
        self.assertEqual(writes.take_turn([put]), [[Put("stored")]])
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages + 8}")
        other = Change(lambda it: [it.put_blob(blob(2), NOW)], [Put("full")])
        longer = Change(lambda it: [it.put_blob(blob(1, lives_hours=99), NOW)], [Put("full")])
        letters = PutEnvelopes([letter(1).envelope], NOW)
        self.assertEqual(
            writes.take_turn([other, longer, letters]),
            [[Put("full")], [Put("stored")], [Put("stored")]],
        )
        self.assertEqual(database.execute("SELECT count(*) FROM blob").fetchone(), (1,))

    def test_quotas_are_right_after_a_failure(self) -> None:
        """What was rolled back is not counted."""
        database, _ = self.writes()
        writes = Writes(database, max_bytes=0, quotas=Quotas(2, 2))
        put = [PutEnvelopes([letter(n).envelope for n in range(2)], NOW)]
        broken = Change(lambda it: it.save_peers([peer(1, 1.0), None]))  # type: ignore[list-item]
        writes.take_turn([broken, PutTombstones([letter(7).tombstone], NOW)])
        answers = writes.take_turn([put[0], broken])
        self.assertEqual(answers[0], [Put("stored")] * 2)
        more = writes.take_turn([PutEnvelopes([letter(5).envelope], NOW)])
        self.assertEqual(more, [[Put("quota")]])


class _Lines(ProcessProtocol):
    """Kills the process after so many lines; fires with all whole lines it had printed."""

    def __init__(self, enough: int) -> None:
        self.ended: Deferred[list[bytes]] = Deferred()
        self._enough = enough
        self._out = b""
        self._errors = b""

    def outReceived(self, data: bytes) -> None:
        self._out += data
        if self._out.count(b"\n") >= self._enough and self.transport is not None:
            self._enough = sys.maxsize
            self.transport.signalProcess("KILL")

    def errReceived(self, data: bytes) -> None:
        self._errors += data

    def processEnded(self, reason: Failure) -> None:
        if self._errors:
            self.ended.errback(AssertionError(self._errors.decode()))
        else:
            self.ended.callback(self._out.split(b"\n")[:-1])


class ProcessTests(TestCase):
    """With the real reactor, and without mercy."""

    async def test_the_real_reactor_serves_it(self) -> None:
        """Answers come in the reactor's thread."""
        path = Path(self.mktemp())
        path.mkdir()
        store = SqliteStore(path / "node.db", IReactorFromThreads(reactor))
        answers = [store.put_envelopes([letter(n).envelope], NOW) for n in range(20)]
        self.assertEqual([await answer for answer in answers], [[Put("stored")]] * 20)
        await store.close()

    async def test_a_program_that_fails_ends(self) -> None:
        """A store that nobody closed does not keep the process alive."""
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        program = (
            "import sys; from pathlib import Path; from tests.storage.pump import Pump;"
            "from tace.storage.sqlite import SqliteStore;"
            "store = SqliteStore(Path(sys.argv[1]), Pump()); print('open'); sys.exit(3)"
        )
        lines = _Lines(enough=sys.maxsize)
        IReactorProcess(reactor).spawnProcess(
            lines,
            sys.executable,
            [sys.executable, "-c", program, str(path / "node.db")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )
        self.assertEqual(await lines.ended, [b"open"])

    async def test_what_was_acknowledged_survives_a_kill(self) -> None:
        """SIGKILL in the middle of writing: every answered put is there, and the lock is free.

        Every tenth letter comes with a blob.
        """
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        lines = _Lines(enough=500)
        IReactorProcess(reactor).spawnProcess(
            lines,
            sys.executable,
            [sys.executable, "-m", "tests.storage.acknowledging_process", str(path / "node.db")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )
        acknowledged = [int(line) for line in await lines.ended]
        self.assertGreaterEqual(len(acknowledged), 500)
        store = SqliteStore(path / "node.db", IReactorFromThreads(reactor))
        ids = [letter(n).envelope.id for n in acknowledged]
        found = await store.get_envelopes(mailbox(1), ids, NOW)
        expected = [blob(n) for n in acknowledged if n % BLOB_EVERY == 0]
        blobs = [await store.get_blob(it.hash, NOW) for it in expected]
        await store.close()
        self.assertEqual({it.id for it in found}, set(ids))
        self.assertGreaterEqual(len(expected), 50)
        self.assertEqual(blobs, expected)
