"""What every store promises of ranges: sums, listings, what is held."""

from __future__ import annotations

from tace.ids import ID_BYTES
from tace.seams import Item
from tace.wire.objects import TOMBSTONE_GRACE_HOURS
from tace.wire.ranges import END, LEAF_ITEMS, MAX_PARTS, RangeSum, element, fingerprint, joined
from tests.storage.contract import StoreContract
from tests.storage.objects import NOW, Letter, at, letter, mailbox, record, record_item, removal


def place(item: Item) -> bytes:
    return item.key + item.name


def sum_of(items: list[Item], upper: bytes = END) -> RangeSum:
    """What a range with these has to come to."""
    elements = [element(place(item), item.state) for item in items]
    return RangeSum(upper, len(items), sum(elements) % 2**256)


class RangeContract(StoreContract):
    """The contract's part about ranges, for the same test cases."""

    def summed(
        self, lower: bytes = b"", upper: bytes = END, *, parts: int = 1, now: float = NOW
    ) -> list[RangeSum]:
        return self.result(self.store.sum_items(lower, upper, parts=parts, now=now))

    def ranged(
        self, lower: bytes = b"", upper: bytes = END, *, limit: int = 10_000, now: float = NOW
    ) -> list[Item]:
        return self.result(self.store.list_range(lower, upper, limit=limit, now=now))

    def assert_sums(self, items: list[Item], now: float = NOW) -> None:
        """The whole store holds these, and says so in whatever parts."""
        self.assertEqual(self.ranged(now=now), sorted(items))
        self.assertEqual(self.summed(now=now), [sum_of(items)])
        self.assertEqual(joined(self.summed(parts=MAX_PARTS, now=now)), sum_of(items))

    def spread(self, count: int, first: int = 0) -> list[Letter]:
        """Letters over many mailboxes."""
        return [letter(first + n, box=mailbox(n % 7)) for n in range(count)]

    # -- tests -----------------------------------------------------------------------------------

    def test_nothing_sums_to_nothing(self) -> None:
        """One part, which ends where the range does."""
        self.assertEqual(self.summed(parts=MAX_PARTS), [RangeSum(END, 0, 0)])
        self.assertEqual(self.summed(b"\x10", b"\x20"), [RangeSum(b"\x20", 0, 0)])
        self.assertEqual(self.ranged(), [])

    def test_every_kind_is_summed(self) -> None:
        """Envelopes, tombstones of both sorts, records; what was there and what comes later."""
        kept: list[Item] = []
        for first in (0, 100):
            one, two, three = letter(first + 1), letter(first + 2), letter(first + 3)
            published = record(first + 1, 1)
            self.put(one, two)
            self.ack(two)
            self.remove(removal(three))
            self.publish(published)
            kept += [one.item, two.buried_item, three.buried_item, record_item(published)]
            self.assert_sums(kept)

    def test_a_tombstone_is_not_its_envelope(self) -> None:
        """The sums differ, though key and name are the same."""
        one = letter(1)
        self.put(one)
        before = self.summed()
        self.ack(one)
        self.assertNotEqual(self.summed(), before)
        self.assert_sums([one.buried_item])

    def test_what_is_replaced_leaves_the_sum(self) -> None:
        """A removal by the secret, a removal by a later one, a record by its successor."""
        self.summed()
        one, two = letter(1), letter(2)
        self.remove(removal(one, two))
        self.remove(removal(two, later_hours=3))
        self.ack(one)
        old, new = record(1, 1), record(1, 2)
        self.publish(old)
        self.publish(new, old)
        self.assert_sums([one.buried_item, two.buried_item, record_item(new)])

    def test_what_is_dropped_leaves_the_sum(self) -> None:
        """And nothing changes by what is not there."""
        letters = self.spread(20)
        self.put(*letters)
        self.ack(*letters[:10])
        published = record(1, 1)
        self.publish(published)
        self.summed()
        gone = [letters[15].item, letters[5].buried_item, letters[3].item, record_item(published)]
        self.result(self.store.drop_items(gone))
        self.assert_sums(
            [it.buried_item for it in letters[:10] if it is not letters[5]]
            + [it.item for it in letters[10:] if it is not letters[15]]
        )

    def test_what_is_over_is_in_no_sum(self) -> None:
        """Of each kind from its hour on, forgotten or not, and at whatever hour is asked next."""
        short, long = letter(1, lives_hours=5), letter(2, lives_hours=50)
        acked = letter(3, lives_hours=5)
        published = record(1, 1, lives_hours=7)
        self.put(short, long)
        self.ack(acked)
        self.publish(published)
        everything = [short.item, long.item, acked.buried_item, record_item(published)]
        grace = 5 + TOMBSTONE_GRACE_HOURS
        for hours, held in (
            (0, everything),
            (4.9, everything),
            (5, everything[1:]),
            (4, everything),
            (grace, [long.item]),
            (5, everything[1:]),
            (grace - 1, [long.item, acked.buried_item, record_item(published)]),
        ):
            self.assert_sums(held, now=at(hours))
        self.result(self.store.expire(at(grace)))
        self.assert_sums([long.item], now=at(grace))
        self.assert_sums([long.item], now=at(0))

    def test_expiry_between_two_sums(self) -> None:
        """What went meanwhile was in the first and is not in the second."""
        letters = [letter(n, lives_hours=1 + n % 3) for n in range(30)]
        self.put(*letters)
        self.assert_sums([it.item for it in letters])
        self.result(self.store.expire(at(1)))
        self.put(letter(100), now=at(1))
        self.assert_sums(
            [
                it.item
                for it in letters
                if it.envelope.expires_hours > letters[0].envelope.expires_hours
            ]
            + [letter(100).item],
            now=at(1),
        )

    def test_many(self) -> None:
        """Thousands that come and go by turns; the parts join up and hold about the same."""
        letters = self.spread(3000)
        here: dict[bytes, Letter] = {}
        for first in range(0, 3000, 500):
            some = letters[first : first + 500]
            self.put(*some)
            here.update((it.envelope.id, it) for it in some)
            for it in some[::3]:
                del here[it.envelope.id]
            self.result(self.store.drop_items([it.item for it in some[::3]]))
            held = sorted(it.item for it in here.values())
            self.assertEqual(self.summed(), [sum_of(held)])
        lower = b""
        parts = self.summed(parts=MAX_PARTS)
        self.assertEqual(len(parts), MAX_PARTS)
        for part in parts:
            there = [item for item in held if lower <= place(item) < part.upper]
            self.assertEqual(part, sum_of(there, part.upper))
            self.assertGreater(part.count, 0)
            self.assertLess(part.count, 3 * len(held) // MAX_PARTS)
            lower = part.upper
        self.assertEqual(lower, END)

    def test_parts_of_one_mailbox(self) -> None:
        """A range within a single key is split by names."""
        letters = [letter(n) for n in range(LEAF_ITEMS * 3)]
        self.put(*letters)
        parts = self.summed(parts=MAX_PARTS)
        self.assertEqual([part.count for part in parts], [LEAF_ITEMS] * 3)
        self.assertTrue(all(part.upper[:ID_BYTES] == mailbox(1) for part in parts[:-1]))

    def test_a_leaf_is_one_part(self) -> None:
        """So many items are listed rather than split; one more makes two parts."""
        letters = self.spread(LEAF_ITEMS + 1)
        self.put(*letters[:-1])
        self.assertEqual(len(self.summed(parts=MAX_PARTS)), 1)
        self.put(letters[-1])
        self.assertEqual(len(self.summed(parts=MAX_PARTS)), 2)
        self.assertEqual(len(self.summed(parts=1)), 1)

    def test_bounds(self) -> None:
        """The lower one is in the range, the upper one is not; a prefix is before its places."""
        letters = self.spread(60)
        self.put(*letters)
        self.publish(record(1, 1))
        held = self.ranged()
        for bound in (
            place(held[7]),
            place(held[7])[:40],
            place(held[7])[:ID_BYTES],
            place(held[7])[:3],
            place(record_item(record(1, 1))),
            record_item(record(1, 1)).key,
        ):
            below = [item for item in held if place(item) < bound]
            above = [item for item in held if place(item) >= bound]
            self.assertEqual(self.ranged(b"", bound), below)
            self.assertEqual(self.ranged(bound, END), above)
            self.assertEqual(self.summed(b"", bound), [sum_of(below, bound)])
            self.assertEqual(self.summed(bound, END), [sum_of(above)])

    def test_a_listing_stops_at_its_limit(self) -> None:
        """With the first of the range."""
        self.put(*self.spread(20))
        self.assertEqual(self.ranged(limit=5), self.ranged()[:5])

    def test_held_items(self) -> None:
        """By key and name, in the state they are in; nothing of the others."""
        one, two, three = letter(1), letter(2), letter(3)
        old, new = record(1, 1), record(1, 2)
        self.put(one, two)
        self.ack(two)
        self.publish(old)
        self.publish(new)
        asked = [one.buried_item, two.item, three.item, record_item(old), record_item(new)]
        found = self.result(self.store.held_items([*asked, one.item]))
        self.assertCountEqual(found, [one.item, two.buried_item, record_item(new)])
        self.assertEqual(self.result(self.store.held_items([])), [])

    def test_fingerprints_count(self) -> None:
        """Of two sets with one sum the count tells."""
        self.assertNotEqual(fingerprint(1, 5), fingerprint(2, 5))
        self.assertEqual(fingerprint(1, 5), fingerprint(1, 5 + 2**256))
