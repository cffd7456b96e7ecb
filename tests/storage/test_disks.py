"""A disk that is full, read-only or limited: a clear word, and it goes on by itself."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import tace
from tace.errors import StartError
from tace.seams import Put, StoreHealth, StoreState
from tace.storage.sqlite import SqliteStore
from tests.storage.disks import MIB, SmallDisk
from tests.storage.files import StoreFiles
from tests.storage.objects import NOW, Letter, at, blob, letter, mailbox, peer, record

ROOT = Path(tace.__file__).parent.parent
STORED, FULL = Put("stored"), Put("full")


class SmallDiskTests(StoreFiles):
    """Real disks of a few megabytes."""

    def mounted(self, size_bytes: int) -> SmallDisk:
        disk = SmallDisk(self, size_bytes)
        self.path = disk.path / "node.db"
        return disk

    def open(self, **settings: object) -> SqliteStore:
        return super().open(**{"synchronous": "full", "mailbox_max_items": 100_000, **settings})

    def fill(self, store: SqliteStore, first: int = 0, group: int = 16) -> list[Letter]:
        """Letters until one is refused with ``full``."""
        stored: list[Letter] = []
        for start in range(first, first + 20_000, group):
            letters = [letter(n) for n in range(start, start + group)]
            puts = self.result(store.put_envelopes([it.envelope for it in letters], NOW))
            self.assertLessEqual(set(puts), {STORED, FULL})
            stored += [it for it, put in zip(letters, puts, strict=True) if put == STORED]
            if FULL in puts:
                return stored
        raise AssertionError("it is never full")

    def ack(self, store: SqliteStore, *letters: Letter) -> set[Put]:
        puts = self.result(store.put_tombstones([it.tombstone for it in letters], NOW))
        return set(puts)

    def ids(self, store: SqliteStore) -> set[bytes]:
        listed = self.result(store.list_mailbox(mailbox(1), 0, 100_000, NOW))
        return {it.id for it in listed}

    def test_it_leaves_room_on_the_disk(self) -> None:
        """``min_free_bytes`` stay free; acks are taken, and make room for what comes next."""
        disk = self.mounted(32 * MIB)
        store = self.open(min_free_bytes=14 * MIB)
        healths: list[StoreHealth] = []
        store.when_health_changes(healths.append)
        stored = self.fill(store)
        self.assertGreater(len(stored), 1000)
        self.becomes(store, StoreState.FULL, "14 MiB are to stay free")
        self.assertGreaterEqual(disk.free_bytes, 14 * MIB)
        self.assertEqual(self.result(store.put_blobs([blob(1)], NOW)), [FULL])
        self.assertEqual(self.result(store.put_records([record(1, 1)], NOW)), [FULL])
        self.assertEqual(self.ids(store), {it.envelope.id for it in stored})
        # What is small, and what makes room.
        self.result(store.save_peers([peer(1, 1.0)]))
        self.assertEqual(self.result(store.next_boot(NOW)), int(NOW))
        self.assertEqual(self.ack(store, *stored[:1000]), {STORED})
        self.assertGreaterEqual(disk.free_bytes, 14 * MIB)
        self.becomes(store, StoreState.OK)
        again = self.fill(store, first=50_000)
        self.assertGreater(len(again), 500)
        self.assertGreaterEqual(disk.free_bytes, 14 * MIB)
        states = [it.state for it in healths]
        self.assertEqual(
            states, [StoreState.OK, StoreState.FULL, StoreState.OK, StoreState.FULL][: len(states)]
        )

    def test_the_log_stays_small(self) -> None:
        """However much is written, also where it is refused at last."""
        self.mounted(16 * MIB)
        store = self.open(min_free_bytes=1 * MIB)
        self.fill(store)
        log = self.path.with_name("node.db-wal").stat().st_size
        self.assertLessEqual(log, 4 * MIB)

    def test_somebody_else_fills_the_disk(self) -> None:
        """To the last byte: puts are refused, what is there is served and acked; when the other one
        goes the store finds out by itself, while nobody asks anything of it.
        """
        disk = self.mounted(16 * MIB)
        store = self.open(min_free_bytes=1 * MIB)
        letters = [letter(n) for n in range(400)]
        self.result(store.put_envelopes([it.envelope for it in letters], NOW))
        others = disk.fill()
        self.becomes(store, StoreState.FULL)
        for n in range(1000, 1100):
            puts = self.result(store.put_envelopes([letter(n).envelope], NOW))
            self.assertEqual(puts, [FULL])
        self.assertEqual(self.ids(store), {it.envelope.id for it in letters})
        for it in letters[:100]:
            self.assertEqual(self.ack(store, it), {STORED})
        others.unlink()
        self.becomes(store, StoreState.OK)
        puts = self.result(store.put_envelopes([letter(2000).envelope], NOW))
        self.assertEqual(puts, [STORED])
        self.assertEqual(len(self.ids(store)), 301)

    def test_no_room_is_kept_free(self) -> None:
        """With ``min_free_bytes`` = 0 too there is room left for acks, and nothing raises."""
        self.mounted(8 * MIB)
        store = self.open()
        stored = self.fill(store)
        self.becomes(store, StoreState.FULL)
        self.assertEqual(self.ack(store, *stored), {STORED})
        self.becomes(store, StoreState.OK)
        self.assertEqual(self.ids(store), set())

    def test_a_bigger_disk(self) -> None:
        """Is noticed."""
        disk = self.mounted(8 * MIB)
        store = self.open(min_free_bytes=2 * MIB)
        self.fill(store)
        self.becomes(store, StoreState.FULL)
        disk.remount(f"size={32 * MIB}")
        self.becomes(store, StoreState.OK)
        self.assertGreater(len(self.fill(store, first=30_000)), 1000)

    def test_expiry_makes_room(self) -> None:
        """On a full disk as anywhere."""
        self.mounted(8 * MIB)
        store = self.open(min_free_bytes=2 * MIB)
        stored = self.fill(store)
        self.becomes(store, StoreState.FULL)
        self.assertEqual(self.result(store.expire(at(24))), len(stored))
        self.becomes(store, StoreState.OK)

    def test_what_was_stored_is_there_after_a_full_disk(self) -> None:
        """Every ``stored`` of a store that ran against the end of the disk again and again."""
        disk = self.mounted(8 * MIB)
        store = self.open()
        stored = self.fill(store, group=7)
        others = disk.fill()
        stored += self.fill(store, first=40_000, group=1)
        self.ack(store, *stored[:50])
        others.unlink()
        self.result(store.close())
        store = self.open()
        left = self.ids(store)
        self.assertLessEqual({it.envelope.id for it in stored[50:]}, left)
        self.result(store.close())
        with closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(other.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    # -- starting --------------------------------------------------------------------------------

    def refusal(self) -> str:
        with self.assertRaises(StartError) as caught:
            self.open()
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_a_start_on_a_read_only_disk(self) -> None:
        """One line says what to do; afterwards it starts, with what it had."""
        disk = self.mounted(8 * MIB)
        store = self.open()
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        self.result(store.close())
        disk.remount("ro")
        self.assertIn("make it writable", self.refusal())
        disk.remount("rw")
        self.assertEqual(len(self.ids(self.open())), 1)

    def test_a_start_on_a_full_disk(self) -> None:
        """With a database and without one."""
        disk = self.mounted(8 * MIB)
        others = disk.fill()
        self.assertIn("make room on the disk", self.refusal())
        others.unlink()
        store = self.open()
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        self.result(store.close())
        others = disk.fill()
        self.assertIn("make room on the disk", self.refusal())
        others.unlink()
        self.assertEqual(len(self.ids(self.open())), 1)


class LimitTests(StoreFiles):
    """Without a disk of its own."""

    def test_a_limit_on_the_size_of_files(self) -> None:
        """In a process of its own: its puts fail with a word, and go on when the limit goes."""
        program = (
            "import sys; sys.path.insert(0, sys.argv[2])\n"
            "from tests.storage.test_disks import under_a_limit; under_a_limit(sys.argv[1])"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program, str(self.path.absolute()), str(ROOT)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual((ran.returncode, ran.stdout), (0, "failing, read, ok, whole\n"), ran)

    def test_the_writer_heals(self) -> None:
        """A disk that refuses every write: failing, once; the first write that goes through heals,
        a look at a disk that still refuses does not.
        """
        store = self.open()
        healths: list[StoreHealth] = []
        store.when_health_changes(healths.append)
        self.result(store.put_envelopes([letter(1).envelope], NOW))
        store._writes._database.execute("PRAGMA query_only = ON")
        for n in range(2, 5):
            failed = store.put_envelopes([letter(n).envelope], NOW)
            with self.assertRaisesRegex(Exception, "readonly"):
                self.result(failed)
        self.becomes(store, StoreState.FAILING, "readonly")
        # It is read all the same.
        self.assertEqual(len(self.result(store.list_mailbox(mailbox(1), 0, 9, NOW))), 1)
        store._writes._database.execute("PRAGMA query_only = OFF")
        self.becomes(store, StoreState.OK)
        self.assertEqual(
            [it.state for it in healths], [StoreState.OK, StoreState.FAILING, StoreState.OK]
        )
        self.assertEqual(self.result(store.put_envelopes([letter(9).envelope], NOW)), [STORED])


def under_a_limit(path: str) -> None:
    """What the process of its own does; prints what it saw."""
    case = LimitTests()
    case.setUp = lambda: None  # type: ignore[method-assign]
    from tests.storage.pump import Pump

    case.pump, case.path = Pump(), Path(path)
    store = SqliteStore(case.path, case.pump, look_round_seconds=0.02, mailbox_max_items=99_999)
    case.result(store.put_envelopes([letter(n).envelope for n in range(100)], NOW))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    acknowledged = 100
    try:
        while acknowledged < 5000:
            case.result(store.put_envelopes([letter(acknowledged).envelope], NOW))
            acknowledged += 1
    except Exception:
        case.becomes(store, StoreState.FAILING)
    words = [store.health.state.value]
    listed = case.result(store.list_mailbox(mailbox(1), 0, 9999, NOW))
    words.append("read" if len(listed) == acknowledged else f"{len(listed)} of {acknowledged}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    words.append(case.becomes(store, StoreState.OK).state.value)
    case.result(store.put_envelopes([letter(9000).envelope], NOW))
    case.result(store.close())
    with closing(sqlite3.connect(path)) as other:
        (count,) = other.execute("SELECT count(*) FROM envelope").fetchone()
        (check,) = other.execute("PRAGMA integrity_check").fetchone()
    whole = (count, check) == (acknowledged + 1, "ok")
    print(", ".join([*words, "whole" if whole else f"{count}, {check}"]))
