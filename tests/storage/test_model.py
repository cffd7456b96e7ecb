"""Both stores give the same answers to whatever is asked of them, in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import KIND_CONTACTS, KIND_REQUESTS, Arc
from tace.seams import Item, Store
from tace.storage.memory import MemoryStore
from tace.storage.sqlite import SqliteStore
from tace.wire.objects import Blob
from tace.wire.ranges import END, MAX_PARTS, element, joined
from tests.storage.objects import (
    Letter,
    at,
    blob,
    known_dead,
    known_seed,
    letter,
    mailbox,
    peer,
    record,
    record_item,
    removal,
)
from tests.storage.pump import Pump

T = TypeVar("T")
BOXES = (mailbox(1), mailbox(2), mailbox(2, KIND_REQUESTS), mailbox(3, KIND_CONTACTS))
LETTERS = [letter(n, box=BOXES[n % 4], lives_hours=1 + n // 4 * 3) for n in range(24)]
RECORDS = [
    record(identity, sequence, lives_hours=lives, payload=payload)
    for identity in (1, 2)
    for sequence in (1, 2)
    for lives in (2, 200)
    for payload in (b"", b"other")
]
ITEMS = [
    *(it.item for it in LETTERS),
    *(it.buried_item for it in LETTERS),
    *map(record_item, RECORDS),
]
BLOBS = [blob(n, lives_hours=lives) for n in range(4) for lives in (2, 5, 40)]
CONTACTS_ITEMS = 4
REQUESTS_ITEMS = 2

few_letters = st.lists(st.sampled_from(LETTERS), max_size=6)
few_items = st.lists(st.sampled_from(ITEMS), max_size=12)
points = st.sampled_from([bytes(32), *BOXES, *(it.key for it in RECORDS[::8]), b"\xff" * 32])
arcs = st.builds(Arc, points, points)


@cache
def removals() -> list[Removal]:
    """Words of the owners of BOXES, some about the same letters with other hours."""
    by_box = [(LETTERS[first::4], owner) for first, owner in enumerate((1, 2, 2, 3))]
    return [
        removal(*letters[first : first + 3], by=owner, later_hours=later)
        for letters, owner in by_box
        for first in (0, 1, 3)
        for later in (0, 5)
    ]


def unordered(values: Sequence[Hashable]) -> frozenset[Hashable]:
    """For answers that come in no particular order; each value once."""
    assert len(set(values)) == len(values)
    return frozenset(values)


class Stores(RuleBasedStateMachine):
    """One of each kind, asked the same."""

    def __init__(self) -> None:
        super().__init__()
        self.hours = 0.0
        self.pump = Pump()
        self.directory = Path(tempfile.mkdtemp(prefix="tace-model-"))
        self.disk = self.open()
        self.memory = MemoryStore(
            mailbox_max_items=CONTACTS_ITEMS, requests_mailbox_max_items=REQUESTS_ITEMS
        )

    def open(self) -> SqliteStore:
        return SqliteStore(
            self.directory / "node.db",
            self.pump,
            mailbox_max_items=CONTACTS_ITEMS,
            requests_mailbox_max_items=REQUESTS_ITEMS,
            synchronous="off",
        )

    def teardown(self) -> None:
        self.pump.result(self.disk.close())
        shutil.rmtree(self.directory)

    @property
    def now(self) -> float:
        return at(self.hours)

    def same(
        self, ask: Callable[[Store], Deferred[T]], look: Callable[[T], Any] = lambda it: it
    ) -> T:
        """Ask both and compare what ``look`` sees."""
        on_disk, in_memory = self.pump.result(ask(self.disk)), self.pump.result(ask(self.memory))
        assert look(on_disk) == look(in_memory), (on_disk, in_memory)
        return in_memory

    @rule(hours=st.sampled_from([0.5, 1.0, 3.0, 30.0, 720.0]))
    def time_passes(self, hours: float) -> None:
        self.hours += hours

    @rule(letters=few_letters)
    def put_envelopes(self, letters: list[Letter]) -> None:
        self.same(lambda store: store.put_envelopes([it.envelope for it in letters], self.now))

    @rule(letters=few_letters)
    def put_tombstones(self, letters: list[Letter]) -> None:
        self.same(lambda store: store.put_tombstones([it.tombstone for it in letters], self.now))

    @rule(which=st.lists(st.sampled_from(range(24)), max_size=3))
    def put_removals(self, which: list[int]) -> None:
        words = [removals()[n] for n in which]
        self.same(lambda store: store.put_removals(words, self.now))

    @rule(records=st.lists(st.sampled_from(RECORDS), max_size=3))
    def put_records(self, records: list[UserRecord]) -> None:
        self.same(lambda store: store.put_records(records, self.now))

    @rule(blobs=st.lists(st.sampled_from(BLOBS), max_size=4))
    def put_blobs(self, blobs: list[Blob]) -> None:
        self.same(lambda store: store.put_blobs(blobs, self.now))

    @rule(it=st.sampled_from(BLOBS))
    def get_blob(self, it: Blob) -> None:
        self.same(lambda store: store.get_blob(it.hash, self.now))

    @rule(arc=arcs, after=st.sampled_from([b"", *(it.hash for it in BLOBS)]))
    def list_blobs(self, arc: Arc, after: bytes) -> None:
        self.same(lambda store: store.list_blobs(arc, after=after, limit=3, now=self.now))

    @rule(items=few_items)
    def drop_items(self, items: list[Item]) -> None:
        self.same(lambda store: store.drop_items(items))

    @rule()
    def expire(self) -> None:
        self.same(lambda store: store.expire(self.now))

    @rule(box=st.sampled_from(BOXES), after=st.integers(0, 12), limit=st.integers(1, 5))
    def list_mailbox(self, box: bytes, after: int, limit: int) -> None:
        self.same(lambda store: store.list_mailbox(box, after, limit, self.now))

    @rule(letters=few_letters, box=st.sampled_from(BOXES))
    def get_envelopes(self, letters: list[Letter], box: bytes) -> None:
        ids = [it.envelope.id for it in letters]
        self.same(lambda store: store.get_envelopes(box, ids, self.now), unordered)

    @rule(it=st.sampled_from(RECORDS))
    def get_record(self, it: UserRecord) -> None:
        self.same(lambda store: store.get_record(it.key, self.now))

    @rule(arc=arcs, records=st.booleans(), limit=st.integers(1, 7))
    def list_items(self, arc: Arc, records: bool, limit: int) -> None:
        def page(after: Item | None) -> list[Item]:
            return self.same(
                lambda store: store.list_items(
                    arc, records=records, after=after, limit=limit, now=self.now
                )
            )

        items = page(None)
        while items:
            assert all(item.key in arc for item in items)
            items = page(items[-1])

    @rule(
        bounds=st.tuples(points, points).map(sorted),
        prefix=st.sampled_from([1, 20, 32]),
        parts=st.sampled_from([1, MAX_PARTS]),
        later=st.sampled_from([0, 1]),
    )
    def sum_items(self, bounds: list[bytes], prefix: int, parts: int, later: int) -> None:
        """Also as of an hour that has not come here yet; and it is what the listing comes to."""
        lower, upper = bounds[0][:prefix], bounds[1] if bounds[1] > bounds[0] else END
        now = at(self.hours + later)
        found = self.same(lambda store: store.sum_items(lower, upper, parts=parts, now=now), joined)
        listed = self.same(lambda store: store.list_range(lower, upper, limit=99, now=now))
        total = sum(element(item.key + item.name, item.state) for item in listed) % 2**256
        assert (joined(found).count, joined(found).total) == (len(listed), total)

    @rule(items=few_items)
    def held_items(self, items: list[Item]) -> None:
        self.same(lambda store: store.held_items(items), unordered)

    @rule(items=few_items)
    def get_items(self, items: list[Item]) -> None:
        self.same(
            lambda store: store.get_items(items, self.now),
            lambda found: [unordered(kind) for kind in found],
        )

    @rule(number=st.integers(0, 5), heard=st.integers(0, 3))
    def meet_a_peer(self, number: int, heard: int) -> None:
        self.same(lambda store: store.save_peers([peer(number, float(heard))]))
        self.same(lambda store: store.load_peers())

    @rule(number=st.integers(0, 5))
    def forget_a_peer(self, number: int) -> None:
        self.same(lambda store: store.forget_peers([peer(number, 0.0).node]))
        self.same(lambda store: store.load_peers())

    @rule(numbers=st.lists(st.integers(0, 5), unique=True))
    def choose_anchors(self, numbers: list[int]) -> None:
        self.same(lambda store: store.save_anchors([peer(number, 0.0) for number in numbers]))
        self.same(lambda store: store.load_anchors())

    @rule(number=st.integers(0, 3), since=st.integers(0, 3))
    def meet_a_seed(self, number: int, since: int) -> None:
        self.same(lambda store: store.save_seeds([known_seed(number, float(since))]))
        self.same(lambda store: store.load_seeds())

    @rule(number=st.integers(0, 5), died=st.integers(0, 3), in_burst=st.booleans())
    def lose_a_node(self, number: int, died: int, in_burst: bool) -> None:
        known = known_dead(number, float(died), in_burst=in_burst)
        self.same(lambda store: store.save_dead([known]))
        self.same(lambda store: store.load_dead())

    @rule(number=st.integers(0, 5))
    def find_a_node_again(self, number: int) -> None:
        self.same(lambda store: store.forget_dead([known_dead(number, 0.0).node]))
        self.same(lambda store: store.load_dead())

    @rule()
    def boot(self) -> None:
        self.same(lambda store: store.next_boot(self.now))

    @rule()
    def restart(self) -> None:
        self.pump.result(self.disk.close())
        self.disk = self.open()

    @invariant()
    def hold_the_same(self) -> None:
        self.same(
            lambda store: store.totals(),
            lambda found: (found.envelopes, found.tombstones, found.records, found.blobs),
        )


class ModelTests(SynchronousTestCase):
    """Hypothesis looks for a difference."""

    def test_the_stores_agree(self) -> None:
        """After every step, in every answer."""
        run_state_machine_as_test(
            Stores,
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                deadline=None,
                report_multiple_bugs=False,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
