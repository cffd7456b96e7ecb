"""What every store promises about hints, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId
from tace.seams import HINT_SECONDS, MAX_HINTS, Item, ItemState, Store
from tests.storage.objects import NOW

T = TypeVar("T")
ONE, OTHER = b"\x01" * 32, b"\x02" * 32

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object


def hinted(number: int, state: ItemState = ItemState.ENVELOPE) -> Item:
    return Item(b"k" * 32, number.to_bytes(32), state)


class HintContract(_Case):
    """Mixed in beside :class:`~tests.storage.contract.StoreContract`."""

    store: Store

    if TYPE_CHECKING:

        def result(self, deferred: Deferred[T]) -> T: ...

    def hint(self, member: NodeId, items: Sequence[Item], now: float = NOW) -> None:
        self.assertTrue(self.result(self.store.put_hints(member, items, now)))

    def hints(self, member: NodeId, limit: int = 100) -> list[Item]:
        return self.result(self.store.list_hints(member, limit))

    def test_hints_are_listed_by_whom_they_are_for(self) -> None:
        """The oldest first, as many as asked for, of every kind."""
        items = [hinted(9 - n, state) for n, state in enumerate(ItemState)]
        self.hint(ONE, items)
        self.hint(OTHER, [hinted(1)])
        self.assertEqual(self.hints(ONE), items)
        self.assertEqual(self.hints(ONE, 2), items[:2])
        self.assertEqual(self.hints(OTHER), [hinted(1)])
        self.assertEqual(self.hints(b"\x03" * 32), [])
        self.assertEqual(self.result(self.store.hinted_members()), [ONE, OTHER])

    def test_a_hint_that_is_dropped_is_gone(self) -> None:
        """Only that one; unknown ones do no harm."""
        self.hint(ONE, [hinted(1), hinted(2)])
        self.hint(OTHER, [hinted(1)])
        self.result(self.store.drop_hints(ONE, [hinted(1), hinted(7)]))
        self.assertEqual(self.hints(ONE), [hinted(2)])
        self.assertEqual(self.hints(OTHER), [hinted(1)])
        self.result(self.store.drop_hints(ONE, [hinted(2)]))
        self.assertEqual(self.result(self.store.hinted_members()), [OTHER])

    def test_a_hint_is_forgotten_after_its_time(self) -> None:
        """Saying it again does not make it younger."""
        self.hint(ONE, [hinted(1)])
        self.hint(ONE, [hinted(1), hinted(2)], NOW + 10)
        self.assertEqual(self.hints(ONE), [hinted(1), hinted(2)])
        self.assertEqual(self.result(self.store.expire_hints(NOW + HINT_SECONDS - 1)), 0)
        self.assertEqual(self.result(self.store.expire_hints(NOW + HINT_SECONDS)), 1)
        self.assertEqual(self.hints(ONE), [hinted(2)])
        self.assertEqual(self.result(self.store.expire_hints(NOW + HINT_SECONDS + 10)), 1)
        self.assertEqual(self.result(self.store.hinted_members()), [])

    def test_there_are_never_too_many(self) -> None:
        """The oldest go, whomever they are for."""
        self.hint(ONE, [hinted(n) for n in range(10)])
        for start in range(0, MAX_HINTS - 5, 8192):
            batch = range(start, min(start + 8192, MAX_HINTS - 5))
            self.hint(OTHER, [hinted(n) for n in batch])
        self.assertEqual(self.hints(ONE), [hinted(n) for n in range(5, 10)])
        self.assertEqual(len(self.hints(OTHER, MAX_HINTS)), MAX_HINTS - 5)
