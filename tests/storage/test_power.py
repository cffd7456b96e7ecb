"""Power loss: what was acknowledged before the last sync is there, and the rest is whole or absent.

The writer runs for real, turn by turn; before and after each step the files are looked at. What
differs was not synced before the step, so a cut within it may leave any part of that. That the step
ends with a sync is what :mod:`tests.smoke.test_durable` looks at.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tace.errors import StoreError
from tace.ids import Arc
from tace.seams import ItemState, StoreState
from tace.storage.rules import Quotas
from tace.storage.schema.sqlite import connect
from tace.storage.writes.sqlite import Change, PutEnvelopes, PutTombstones, Write, Writes
from tests.storage.files import StoreFiles
from tests.storage.objects import NOW, blob, letter
from tests.storage.power import Image, after_a_cut

SEED = 20261123
WHOLE = Arc(bytes(32), bytes(32))
TURNS = 40
CUTS_A_STEP = 2


@dataclass
class Known:
    """What a store holds: ids of envelopes, of tombstones, hashes of blobs."""

    envelopes: set[bytes] = field(default_factory=set)
    tombstones: set[bytes] = field(default_factory=set)
    blobs: set[bytes] = field(default_factory=set)

    def copy(self) -> Known:
        return Known(set(self.envelopes), set(self.tombstones), set(self.blobs))


class PowerTests(StoreFiles):
    """Many steps, many cuts in each."""

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(SEED)
        self.cuts = 0
        self.worked: list[str] = []

    def play(self, look: Callable[[Image, Image, Known, Known], None]) -> None:
        """``look`` gets the files and what was acknowledged, before and after each step."""
        self.result(self.open().close())
        database = connect(self.path, cache_kib=1024, synchronous="off")
        self.addCleanup(database.close)
        # A small budget has a small log: it is moved into the database often, and begins anew.
        writes = Writes(database, max_bytes=8 * 1024 * 1024, quotas=Quotas(9999, 9999))
        known, waiting, numbers = Known(), list[int](), iter(range(10_000))
        image = Image.of(self.path)
        for turn in range(TURNS):
            before = known.copy()
            fresh = [next(numbers) for _ in range(self.random.choice((1, 3, 40)))]
            acked = [waiting.pop(0) for _ in range(min(len(waiting), self.random.randrange(30)))]
            chunk = blob(turn)
            asked: list[Write] = [
                *(PutEnvelopes([letter(n).envelope], NOW) for n in fresh),
                PutTombstones([letter(n).tombstone for n in acked], NOW),
            ]
            if turn % 7 == 0:
                asked.append(Change(lambda it, chunk=chunk: it.put_blob(chunk, NOW)))  # type: ignore[misc]
                known.blobs.add(chunk.hash)
            answers: list[Any] = writes.take_turn(asked)
            for answer in answers:
                for put in answer if isinstance(answer, list) else [answer]:
                    self.assertEqual(put.code, "stored")
            waiting += fresh
            known.envelopes |= {letter(n).envelope.id for n in fresh}
            known.envelopes -= {letter(n).envelope.id for n in acked}
            known.tombstones |= {letter(n).envelope.id for n in acked}
            image, old = Image.of(self.path), image
            look(old, image, before, known)
            # A checkpoint is a step of its own: nothing new is acknowledged by it.
            writes.afterwards(turn % 3 == 0)
            image, old = Image.of(self.path), image
            if image != old:
                self.worked.append("checkpoint")
                look(old, image, known, known)

    def found(self, image: Image) -> Known:
        """What a store finds in such files; it opens, whatever they are."""
        self.cuts += 1
        place, self.path = self.path, self.path.parent / f"cut-{self.cuts}" / "node.db"
        image.write(self.path)
        first_page = place.with_name("node.db.first-page")
        self.path.with_name(first_page.name).write_bytes(first_page.read_bytes())
        store = self.open()
        for _ in range(2):
            items = store.list_items(WHOLE, records=False, after=None, limit=10_000, now=NOW)
            blobs = store.list_blobs(WHOLE, after=b"", limit=10_000, now=NOW)
            try:
                listed = self.result(items)
                names = self.result(blobs)
                break
            except StoreError:
                self.becomes(store, StoreState.OK)
        # It goes on.
        (put,) = self.result(store.put_envelopes([letter(99_999).envelope], NOW))
        self.assertEqual(put.code, "stored")
        self.result(store.close())
        with closing(sqlite3.connect(self.path)) as database:
            check = database.execute("PRAGMA integrity_check").fetchall()
        shutil.rmtree(self.path.parent)
        self.path = place
        self.assertEqual(check, [("ok",)])
        return Known(
            {it.name for it in listed if it.state is ItemState.ENVELOPE},
            {it.name for it in listed if it.state is ItemState.TOMBSTONE},
            {it.hash for it in names},
        )

    def test_what_was_acknowledged_is_there(self) -> None:
        """After every cut: all of it; and of the turn that was cut, all or nothing."""

        def look(synced: Image, written: Image, before: Known, after: Known) -> None:
            for _ in range(CUTS_A_STEP):
                found = self.found(after_a_cut(synced, written, self.random))
                self.assertTrue(found in (before, after), f"cut {self.cuts}")

        self.play(look)
        self.assertGreater(self.cuts, TURNS * CUTS_A_STEP)
        self.assertGreater(len(self.worked), 5)

    def test_the_look_would_find_it(self) -> None:
        """Were a turn not synced when it is acknowledged, most cuts would show it: here the files
        may be as they were two turns before.
        """
        images: list[Image] = []
        lost = looks = 0

        def look(synced: Image, written: Image, before: Known, after: Known) -> None:
            nonlocal lost, looks
            if before is after:
                return
            images.append(synced)
            if len(images) > 10:
                looks += 1
                image = after_a_cut(images[-3], written, self.random)
                lost += not before.envelopes <= self.ids_in(image) | after.tombstones

        self.play(look)
        self.assertGreater(lost, looks // 4)

    def ids_in(self, image: Image) -> set[bytes]:
        """The envelopes that SQLite alone finds in such files, if it can read them at all."""
        self.cuts += 1
        path = self.path.parent / f"cut-{self.cuts}" / "node.db"
        image.write(path)
        try:
            with closing(sqlite3.connect(path)) as database:
                return {name for (name,) in database.execute("SELECT id FROM envelope")}
        except sqlite3.DatabaseError:
            return set()
        finally:
            shutil.rmtree(path.parent)
