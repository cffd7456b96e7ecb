"""What every store promises (tace.seams.Store), whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import KIND_REQUESTS, Arc, MailboxId
from tace.seams import Item, ItemState, Put, Store, StoreState
from tace.storage.rules import TOMBSTONES_AN_ITEM
from tace.wire.objects import TOMBSTONE_GRACE_HOURS, Envelope, Tombstone
from tests.storage.objects import (
    NOW,
    Letter,
    at,
    known_dead,
    known_seed,
    letter,
    mailbox,
    peer,
    record,
    record_item,
    removal,
)

T = TypeVar("T")
Found = tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]
WHOLE = Arc(bytes(32), bytes(32))
LITTLE_BYTES = 2 * 1024 * 1024
RECORD_MEMORY_HOURS = 30 * 24

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object


class StoreContract(_Case):
    """Mixed into a test case that says how to make a store and how to wait for it."""

    store: Store

    def make_store(self, **settings: int) -> Store:
        """A new, empty one; it is closed after the test."""
        raise NotImplementedError

    def result(self, deferred: Deferred[T]) -> T:
        """What the Deferred comes to."""
        raise NotImplementedError

    def setUp(self) -> None:
        """An empty store without bounds."""
        self.store = self.make_store()

    # -- the calls of the tests, in short --------------------------------------------------------

    def put(self, *letters: Letter, now: float = NOW) -> list[str]:
        """The codes for these envelopes."""
        answers = self.result(self.store.put_envelopes([it.envelope for it in letters], now))
        return [answer.code for answer in answers]

    def ack(self, *letters: Letter, now: float = NOW) -> list[str]:
        """The codes for their tombstones."""
        answers = self.result(self.store.put_tombstones([it.tombstone for it in letters], now))
        return [answer.code for answer in answers]

    def remove(self, *removals: Removal, now: float = NOW) -> list[str]:
        """The codes for these removals."""
        return [a.code for a in self.result(self.store.put_removals(removals, now))]

    def publish(self, *records: UserRecord, now: float = NOW) -> list[str]:
        """The codes for these records."""
        return [a.code for a in self.result(self.store.put_records(records, now))]

    def listed(
        self, box: MailboxId, *, after: int = 0, limit: int = 512, now: float = NOW
    ) -> list[bytes]:
        """The ids that wait in a mailbox."""
        found = self.result(self.store.list_mailbox(box, after, limit, now))
        return [waiting.id for waiting in found]

    def items(
        self,
        arc: Arc = WHOLE,
        *,
        records: bool = False,
        after: Item | None = None,
        limit: int = 512,
        now: float = NOW,
    ) -> list[Item]:
        """What is listed in an arc."""
        return self.result(
            self.store.list_items(arc, records=records, after=after, limit=limit, now=now)
        )

    def fetched(self, *items: Item, now: float = NOW) -> Found:
        """The named items."""
        return self.result(self.store.get_items(items, now))

    def counts(self) -> tuple[int, int, int]:
        """Envelopes, tombstones, records."""
        totals = self.result(self.store.totals())
        return totals.envelopes, totals.tombstones, totals.records

    # -- envelopes -------------------------------------------------------------------------------

    def test_what_is_put_comes_back_as_it_was(self) -> None:
        """An envelope is served byte for byte, with its id."""
        one = letter(1)
        self.assertEqual(self.put(one), ["stored"])
        box = one.envelope.mailbox
        found = self.result(self.store.get_envelopes(box, [one.envelope.id], NOW))
        self.assertEqual(found, [one.envelope])

    def test_results_stand_in_the_order_of_the_arguments(self) -> None:
        """Each argument has its own answer; the second of two equal ones is a duplicate."""
        one, two, over = letter(1), letter(2), letter(3, lives_hours=0)
        self.put(two)
        self.assertEqual(
            self.put(one, over, two, one), ["stored", "expired", "duplicate", "duplicate"]
        )

    def test_nothing_put_is_nothing_answered(self) -> None:
        """Empty calls are answered."""
        self.assertEqual(self.put(), [])
        self.assertEqual(self.ack(), [])
        self.assertEqual(self.remove(), [])
        self.assertEqual(self.publish(), [])
        self.assertIsNone(self.result(self.store.drop_items([])))
        self.assertIsNone(self.result(self.store.save_peers([])))
        self.assertEqual(self.fetched(), ([], [], [], []))
        self.assertEqual(self.result(self.store.get_envelopes(mailbox(1), [], NOW)), [])

    def test_many_are_put_at_once(self) -> None:
        """More than any statement of a database takes, in one call."""
        letters = [letter(n) for n in range(600)]
        self.assertEqual(self.put(*letters), ["stored"] * 600)
        box = letters[0].envelope.mailbox
        self.assertEqual(self.listed(box, limit=1000), [it.envelope.id for it in letters])
        found = self.result(self.store.get_envelopes(box, [it.envelope.id for it in letters], NOW))
        self.assertEqual(
            {it.id: it for it in found}, {it.envelope.id: it.envelope for it in letters}
        )
        self.assertEqual(self.ack(*letters), ["stored"] * 600)
        self.assertEqual(self.counts(), (0, 600, 0))

    def test_a_durable_answer_is_one_of_three(self) -> None:
        """``stored``, ``duplicate`` and ``acked`` count as copies, refusals do not."""
        durable = [code for code in ("stored", "duplicate", "acked") if Put(code).durable]
        refused = [code for code in ("quota", "full", "expired") if Put(code).durable]
        self.assertEqual((durable, refused), (["stored", "duplicate", "acked"], []))

    def test_expired_envelopes_are_refused_and_not_served(self) -> None:
        """From its hour on an envelope is neither taken nor shown, forgotten or not."""
        one = letter(1, lives_hours=5)
        box = one.envelope.mailbox
        self.assertEqual(self.put(one, now=at(4.99)), ["stored"])
        self.assertEqual(self.listed(box, now=at(4.99)), [one.envelope.id])
        self.assertEqual(self.listed(box, now=at(5)), [])
        self.assertEqual(self.result(self.store.get_envelopes(box, [one.envelope.id], at(5))), [])
        self.assertEqual(self.items(now=at(5)), [])
        self.assertEqual(self.fetched(one.item, now=at(5)), ([], [], [], []))
        self.assertEqual(self.put(letter(2, lives_hours=5), now=at(5)), ["expired"])
        self.assertEqual(self.put(one, now=at(5)), ["expired"])

    def test_only_what_is_asked_for_comes(self) -> None:
        """Unknown ids are left out, another mailbox's too; one asked twice comes once."""
        one, two = letter(1), letter(2, box=mailbox(2))
        self.put(one, two)
        ids = [one.envelope.id, two.envelope.id, one.envelope.id, bytes(32)]
        found = self.result(self.store.get_envelopes(one.envelope.mailbox, ids, NOW))
        self.assertEqual(found, [one.envelope])

    # -- listing a mailbox -----------------------------------------------------------------------

    def test_a_mailbox_lists_in_the_order_of_arrival(self) -> None:
        """Not in the order of the ids; with the expiry, and only this mailbox."""
        letters = [letter(n, lives_hours=10 + n) for n in range(20)]
        for it in letters:
            self.put(it)
        self.put(letter(99, box=mailbox(2)))
        found = self.result(self.store.list_mailbox(mailbox(1), 0, 512, NOW))
        self.assertEqual(
            [(it.id, it.expires_hours) for it in found],
            [(it.envelope.id, it.envelope.expires_hours) for it in letters],
        )
        sequences = [it.sequence for it in found]
        self.assertEqual(sequences, sorted(set(sequences)))

    def test_pages_of_a_mailbox_join_up(self) -> None:
        """The last sequence of a page continues the list; other mailboxes' arrivals between."""
        letters = [letter(n) for n in range(10)]
        for n, it in enumerate(letters):
            self.put(it, letter(100 + n, box=mailbox(2)))
        seen: list[bytes] = []
        after = 0
        while page := self.result(self.store.list_mailbox(mailbox(1), after, 3, NOW)):
            self.assertLessEqual(len(page), 3)
            seen += [it.id for it in page]
            after = page[-1].sequence
        self.assertEqual(seen, [it.envelope.id for it in letters])

    def test_a_sequence_is_never_used_twice(self) -> None:
        """When the newest has gone, its successor still comes after it."""
        one, two = letter(1), letter(2)
        self.put(one)
        (first,) = self.result(self.store.list_mailbox(mailbox(1), 0, 512, NOW))
        self.ack(one)
        self.put(two)
        self.assertEqual(self.listed(mailbox(1), after=first.sequence), [two.envelope.id])

    def test_an_unknown_mailbox_is_empty(self) -> None:
        """There is no such thing as a mailbox that does not exist."""
        self.assertEqual(self.listed(mailbox(7)), [])

    # -- tombstones ------------------------------------------------------------------------------

    def test_a_tombstone_replaces_the_envelope(self) -> None:
        """Who sends it again learns the secret."""
        one = letter(1)
        self.put(one)
        self.assertEqual(self.ack(one), ["stored"])
        self.assertEqual(self.listed(mailbox(1)), [])
        self.assertEqual(self.counts(), (0, 1, 0))
        answers = self.result(self.store.put_envelopes([one.envelope], NOW))
        self.assertEqual(answers, [Put("acked", one.secret)])
        self.assertEqual(self.counts(), (0, 1, 0))

    def test_a_tombstone_may_come_first(self) -> None:
        """It is kept, and the envelope that comes later is not."""
        one = letter(1)
        self.assertEqual(self.ack(one), ["stored"])
        answers = self.result(self.store.put_envelopes([one.envelope], NOW))
        self.assertEqual(answers, [Put("acked", one.secret)])
        self.assertEqual(self.listed(mailbox(1)), [])

    def test_a_tombstone_comes_again(self) -> None:
        """The second time it is a duplicate, in the same call too."""
        one, two = letter(1), letter(2)
        self.assertEqual(self.ack(one, one), ["stored", "duplicate"])
        self.assertEqual(self.ack(two, one), ["stored", "duplicate"])
        self.assertEqual(self.counts(), (0, 2, 0))

    def test_a_tombstone_outlives_the_envelope_by_the_grace(self) -> None:
        """Until then it is taken, listed and served; expire() forgets it after."""
        one, two = letter(1, lives_hours=5), letter(2, lives_hours=5)
        last = 5 + TOMBSTONE_GRACE_HOURS
        self.put(one)
        self.ack(one)
        self.assertEqual(self.ack(two, now=at(last - 0.01)), ["stored"])
        self.assertEqual(self.result(self.store.expire(at(last - 0.01))), 0)
        shown = self.items(now=at(last - 0.01))
        self.assertCountEqual(shown, [one.buried_item, two.buried_item])
        self.assertEqual(self.ack(letter(3, lives_hours=5), now=at(last)), ["expired"])
        self.assertEqual(self.items(now=at(last)), [])
        self.assertEqual(self.fetched(one.buried_item, now=at(last)), ([], [], [], []))
        self.assertEqual(self.result(self.store.expire(at(last))), 2)
        self.assertEqual(self.counts(), (0, 0, 0))

    # -- removals --------------------------------------------------------------------------------

    def test_a_removal_buries_all_it_names(self) -> None:
        """Those here and those still to come; without a secret there is none to answer with."""
        one, two, other = letter(1), letter(2), letter(3)
        self.put(one, other)
        self.assertEqual(self.remove(removal(one, two)), ["stored"])
        self.assertEqual(self.listed(mailbox(1)), [other.envelope.id])
        answers = self.result(self.store.put_envelopes([one.envelope, two.envelope], NOW))
        self.assertEqual(answers, [Put("acked"), Put("acked")])

    def test_a_removal_is_served_as_its_signed_bytes(self) -> None:
        """Once, however many of its items are asked for."""
        one, two = letter(1), letter(2)
        words = removal(one, two)
        self.remove(words)
        found = self.fetched(one.buried_item, two.buried_item)
        self.assertEqual(found, ([], [], [words], []))

    def test_a_removal_comes_again(self) -> None:
        """Nothing new is a duplicate, one new item is not."""
        one, two = letter(1), letter(2)
        words = removal(one)
        self.assertEqual(self.remove(words, words), ["stored", "duplicate"])
        self.assertEqual(self.remove(removal(one)), ["duplicate"])
        self.assertEqual(self.remove(removal(one, two)), ["stored"])

    def test_a_removal_only_reaches_the_owners_mailbox(self) -> None:
        """The id of another mailbox's message under one's own signature removes nothing there."""
        one = letter(1, box=mailbox(1))
        self.put(one)
        self.assertEqual(self.remove(removal(one, by=2)), ["stored"])
        self.assertEqual(self.listed(mailbox(1)), [one.envelope.id])

    def test_a_secret_replaces_a_removal(self) -> None:
        """And not the other way round."""
        one, two = letter(1), letter(2)
        words = removal(one, two)
        self.remove(words)
        self.assertEqual(self.ack(one), ["stored"])
        answers = self.result(self.store.put_envelopes([one.envelope], NOW))
        self.assertEqual(answers, [Put("acked", one.secret)])
        self.assertEqual(self.remove(words), ["duplicate"])
        found = self.fetched(one.buried_item, two.buried_item)
        self.assertEqual(found, ([], [one.tombstone], [words], []))
        self.assertEqual(self.counts(), (0, 2, 0))

    def test_the_later_of_two_removals_holds(self) -> None:
        """An owner may have named too early an hour."""
        one = letter(1, lives_hours=5)
        early, late = removal(one), removal(one, later_hours=4)
        self.assertEqual(self.remove(early, late, early), ["stored", "stored", "duplicate"])
        self.assertEqual(self.fetched(one.buried_item), ([], [], [late], []))
        moment = at(5 + TOMBSTONE_GRACE_HOURS)
        self.assertEqual(self.result(self.store.expire(moment)), 0)
        self.assertEqual(self.counts(), (0, 1, 0))

    def test_expired_items_of_a_removal_are_passed_over(self) -> None:
        """It is ``expired`` when nothing in it still counts."""
        old, new = letter(1, lives_hours=1), letter(2, lives_hours=9)
        moment = at(1 + TOMBSTONE_GRACE_HOURS)
        self.assertEqual(
            self.remove(removal(old), removal(old, new), now=moment), ["expired", "stored"]
        )
        self.assertEqual(self.items(now=moment), [new.buried_item])

    # -- records ---------------------------------------------------------------------------------

    def test_the_highest_order_wins(self) -> None:
        """By sequence, then by hash; what lost is stale, what is there a duplicate."""
        low, high = record(1, 1), record(1, 2)
        self.assertEqual(
            self.publish(low, high, low, high), ["stored", "stored", "stale-sequence", "duplicate"]
        )
        self.assertEqual(self.result(self.store.get_record(low.key, NOW)), high)
        rivals = sorted(
            (record(2, 1, payload=bytes([n])) for n in range(2)), key=lambda it: it.order
        )
        self.assertEqual(self.publish(*rivals, rivals[0]), ["stored", "stored", "stale-sequence"])
        self.assertEqual(self.result(self.store.get_record(rivals[0].key, NOW)), rivals[1])
        self.assertEqual(self.counts(), (0, 0, 2))

    def test_records_expire(self) -> None:
        """Then they are neither taken nor served."""
        it = record(1, 1, lives_hours=5)
        self.publish(it)
        self.assertEqual(self.result(self.store.get_record(it.key, at(4.99))), it)
        self.assertIsNone(self.result(self.store.get_record(it.key, at(5))))
        self.assertEqual(self.items(records=True, now=at(5)), [])
        self.assertEqual(self.fetched(record_item(it), now=at(5)), ([], [], [], []))
        self.assertEqual(self.publish(record(2, 1, lives_hours=5), now=at(5)), ["expired"])
        self.assertIsNone(self.result(self.store.get_record(bytes(32), NOW)))

    def test_the_sequence_is_remembered_for_thirty_days(self) -> None:
        """An older record cannot come back after the newer one expired; after that it may."""
        newer = record(1, 2, lives_hours=5)
        older = record(1, 1, lives_hours=10_000)
        self.publish(newer)
        self.assertEqual(self.result(self.store.expire(at(5))), 1)
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertEqual(self.publish(older, now=at(5)), ["stale-sequence"])
        last = 5 + RECORD_MEMORY_HOURS
        self.result(self.store.expire(at(last - 0.01)))
        self.assertEqual(self.publish(older, now=at(last - 0.01)), ["stale-sequence"])
        self.result(self.store.expire(at(last)))
        self.assertEqual(self.publish(older, now=at(last)), ["stored"])

    def test_a_record_follows_one_that_expired(self) -> None:
        """A higher sequence is taken, remembered or not; so is the same one by an earlier clock."""
        old = record(1, 1, lives_hours=5)
        self.publish(old)
        self.result(self.store.expire(at(5)))
        self.assertEqual(self.publish(old, now=at(4)), ["stored"])
        new = record(1, 2, lives_hours=50)
        self.assertEqual(self.publish(new, now=at(6)), ["stored"])
        self.assertEqual(self.result(self.store.get_record(new.key, at(6))), new)

    # -- arcs ------------------------------------------------------------------------------------

    def arrange(self) -> list[Item]:
        """Six mailboxes with three letters each, one of them acked; what stands there, in order."""
        letters = [letter(10 * box + n, box=mailbox(box)) for box in range(6) for n in range(3)]
        self.put(*letters)
        self.ack(*letters[::3])
        return sorted(it.buried_item if n % 3 == 0 else it.item for n, it in enumerate(letters))

    def test_an_arc_lists_what_lies_in_it(self) -> None:
        """Start excluded, end included, in the order of the segments: also round the zero."""
        everything = self.arrange()
        self.assertEqual(self.items(), everything)
        keys = sorted({item.key for item in everything})
        for arc in (
            Arc(keys[1], keys[4]),
            Arc(keys[4], keys[1]),
            Arc(keys[2], keys[2]),
            Arc(bytes(32), keys[0]),
            Arc(keys[5], b"\xff" * 32),
            Arc(b"\xff" * 32, keys[1]),
        ):
            expected = [
                item
                for after, through in arc.segments()
                for item in everything
                if after < item.key <= through
            ]
            self.assertEqual(self.items(arc), expected)
            self.assertTrue(all(item.key in arc for item in expected))

    def test_pages_of_an_arc_join_up(self) -> None:
        """Whatever the size of a page, within a mailbox and across the zero."""
        everything = self.arrange()
        keys = sorted({item.key for item in everything})
        for arc in (WHOLE, Arc(keys[4], keys[1]), Arc(keys[0], keys[3])):
            whole = self.items(arc)
            for limit in (1, 2, 5, 18):
                seen: list[Item] = []
                after: Item | None = None
                while page := self.items(arc, after=after, limit=limit):
                    self.assertLessEqual(len(page), limit)
                    seen += page
                    after = page[-1]
                self.assertEqual(seen, whole)

    def test_a_page_continues_after_what_has_gone(self) -> None:
        """The item that ended a page need not be there any more, nor in the same state."""
        everything = self.arrange()
        self.result(self.store.drop_items([everything[6]]))
        self.assertEqual(self.items(after=everything[6]), everything[7:])

    def test_records_are_listed_apart(self) -> None:
        """By key, with the hash of their bytes as the name."""
        self.put(letter(1))
        records = [record(n, 1) for n in range(1, 9)]
        self.publish(*records)
        expected = sorted(map(record_item, records))
        self.assertEqual(self.items(records=True), expected)
        self.assertEqual(self.items(records=True, after=expected[3], limit=2), expected[4:6])
        arc = Arc(expected[6].key, expected[1].key)
        self.assertEqual(self.items(arc, records=True), [expected[0], expected[1], expected[7]])

    def test_named_items_are_fetched(self) -> None:
        """Each kind in its place, in the state that was named; unknown ones are left out."""
        here, gone, removed = letter(1), letter(2), letter(3)
        words, it = removal(removed), record(1, 1)
        self.put(here)
        self.ack(gone)
        self.remove(words)
        self.publish(it)
        envelopes, tombstones, removals, records = self.fetched(
            here.item,
            gone.buried_item,
            removed.buried_item,
            record_item(it),
            here.buried_item,
            gone.item,
            Item(it.key, bytes(32), ItemState.RECORD),
        )
        self.assertEqual(
            (envelopes, tombstones, removals, records),
            ([here.envelope], [gone.tombstone], [words], [it]),
        )

    # -- forgetting ------------------------------------------------------------------------------

    def test_dropped_items_are_forgotten(self) -> None:
        """In the state that was named only; they may come again as if new."""
        here, gone, removed = letter(1), letter(2), letter(3)
        it = record(1, 2)
        self.put(here)
        self.ack(gone)
        self.remove(removal(removed))
        self.publish(it)
        self.result(
            self.store.drop_items(
                [here.buried_item, gone.item, Item(it.key, bytes(32), ItemState.RECORD)]
            )
        )
        self.assertEqual(self.counts(), (1, 2, 1))
        self.result(
            self.store.drop_items(
                [here.item, gone.buried_item, removed.buried_item, record_item(it), here.item]
            )
        )
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertEqual(self.items(), [])
        self.assertEqual(self.items(records=True), [])
        self.assertEqual(self.put(here, gone, removed), ["stored"] * 3)
        self.assertEqual(self.publish(record(1, 1)), ["stored"])

    def test_expiry_forgets_what_is_over(self) -> None:
        """And says how much that was; however much it is."""
        short = [letter(n, lives_hours=2) for n in range(700)]
        long = letter(1000, lives_hours=50)
        self.put(*short, long)
        self.publish(record(1, 1, lives_hours=2), record(2, 1, lives_hours=50))
        self.assertEqual(self.result(self.store.expire(at(1.99))), 0)
        self.assertEqual(self.result(self.store.expire(at(2))), 701)
        self.assertEqual(self.counts(), (1, 0, 1))
        self.assertEqual(self.listed(mailbox(1), now=at(2)), [long.envelope.id])
        self.assertEqual(self.result(self.store.expire(at(2))), 0)

    # -- bounds ----------------------------------------------------------------------------------

    def test_a_mailbox_has_a_quota_by_its_kind(self) -> None:
        """What is there, acked or expired makes no difference to what already waits."""
        self.store = self.make_store(mailbox_max_items=3, requests_mailbox_max_items=2)
        contacts = [letter(n) for n in range(5)]
        requests = [letter(n, box=mailbox(1, KIND_REQUESTS)) for n in range(10, 14)]
        self.assertEqual(self.put(*contacts), ["stored"] * 3 + ["quota"] * 2)
        self.assertEqual(self.put(*requests), ["stored"] * 2 + ["quota"] * 2)
        self.assertEqual(self.put(contacts[0], contacts[4]), ["duplicate", "quota"])
        self.assertEqual(self.put(letter(20, box=mailbox(2))), ["stored"])

    def test_a_mailbox_below_its_quota_takes_more(self) -> None:
        """Whatever made the room: an ack, a removal, a drop, expiry. A repeated ack makes none."""
        self.store = self.make_store(mailbox_max_items=4)
        first = [letter(n, lives_hours=1 if n == 3 else 24) for n in range(4)]
        self.put(*first)
        self.ack(first[0])
        self.ack(first[0])
        self.remove(removal(first[1], letter(50)))
        self.result(self.store.drop_items([first[2].item, first[2].item]))
        self.result(self.store.expire(at(1)))
        more = [letter(n) for n in range(10, 15)]
        self.assertEqual(self.put(*more, now=at(1)), ["stored"] * 4 + ["quota"])

    def fill(self) -> list[Letter]:
        """As many letters as a little store takes."""
        self.store = self.make_store(max_bytes=LITTLE_BYTES, mailbox_max_items=10_000)
        return self.fill_this()

    def fill_this(self) -> list[Letter]:
        """As many letters as the store takes."""
        stored: list[Letter] = []
        group = 16
        while len(stored) < 2000:
            first = len(stored)
            letters = [letter(n) for n in range(first, first + group)]
            codes = self.put(*letters)
            stored += [it for it, code in zip(letters, codes, strict=True) if code == "stored"]
            if codes == ["full"]:
                break
            if "full" in codes:
                group = 1
        self.assertTrue(100 < len(stored) < 2000, len(stored))
        return stored

    def test_a_full_store_says_so(self) -> None:
        """New envelopes and records are refused with ``full``; what is there stays."""
        stored = self.fill()
        self.assertEqual(self.put(letter(5000)), ["full"])
        self.assertEqual(self.publish(record(1, 1, payload=bytes(5000))), ["full"])
        self.assertEqual(self.put(stored[0]), ["duplicate"])
        self.assertEqual(len(self.listed(mailbox(1), limit=10_000)), len(stored))
        self.assertLessEqual(self.result(self.store.totals()).bytes, LITTLE_BYTES)

    def test_a_full_store_still_takes_what_is_small(self) -> None:
        """Tombstones, removals, the boot and peers have room in reserve."""
        stored = self.fill()
        self.assertEqual(self.ack(letter(5001)), ["stored"])
        self.assertEqual(self.remove(removal(letter(5002))), ["stored"])
        self.assertEqual(self.result(self.store.next_boot(NOW)), int(NOW))
        self.result(self.store.save_peers([peer(1, 1.0)]))
        self.assertEqual(self.ack(*stored), ["stored"] * len(stored))

    def test_a_store_full_of_tombstones_still_acks(self) -> None:
        """Tombstones without an envelope are refused before there is no room for the others."""
        stored = self.fill()
        strangers = 0
        while self.ack(letter(10_000 + strangers)) == ["stored"]:
            strangers += 1
            self.assertLess(strangers, 10_000)
        self.assertEqual(self.ack(letter(9_999)), ["full"])
        self.assertEqual(self.remove(removal(letter(9_998))), ["full"])
        self.result(self.store.save_peers([peer(n, 1.0, record_bytes=1024) for n in range(20)]))
        self.assertEqual(self.ack(*stored), ["stored"] * len(stored))

    def test_room_that_is_made_is_used(self) -> None:
        """After acks a full store takes envelopes again."""
        stored = self.fill()
        half = stored[: len(stored) // 2]
        self.ack(*half)
        self.result(self.store.drop_items([it.buried_item for it in half]))
        again = [letter(n) for n in range(6000, 6000 + len(half) // 2)]
        self.assertEqual(self.put(*again), ["stored"] * len(again))

    def test_health_follows_the_room(self) -> None:
        """Full is said once, however much is refused; and taken back once there is some room, not
        with the first page: it does not go to and fro.
        """
        self.store = self.make_store(max_bytes=LITTLE_BYTES, mailbox_max_items=10_000)
        states: list[StoreState] = []
        self.store.when_health_changes(lambda health: states.append(health.state))
        self.assertEqual(states, [StoreState.OK])
        stored = self.fill_this()
        self.assertEqual(self.put(letter(7000), letter(7001)), ["full"] * 2)
        # Something is asked, so that whatever was said by then has arrived.
        self.result(self.store.load_peers())
        self.assertEqual(states, [StoreState.OK, StoreState.FULL])
        self.assertFalse(self.store.health.takes_messages)
        self.ack(stored[0])
        self.put(letter(7002))
        self.result(self.store.load_peers())
        self.assertEqual(states, [StoreState.OK, StoreState.FULL])
        self.ack(*stored)
        self.assertEqual(self.put(letter(7003)), ["stored"])
        self.result(self.store.load_peers())
        self.assertEqual(states, [StoreState.OK, StoreState.FULL, StoreState.OK])

    def test_tombstones_for_nothing_are_bounded_in_a_mailbox(self) -> None:
        """Anybody can invent them. What is here is buried all the same."""
        self.store = self.make_store(mailbox_max_items=2, requests_mailbox_max_items=1)
        here = [letter(1), letter(2)]
        self.put(*here)
        invented = [letter(n) for n in range(1000, 1140)]
        codes = self.ack(*invented[:70]) + self.ack(*invented[70:])
        bound = 2 * TOMBSTONES_AN_ITEM
        self.assertEqual(codes, ["stored"] * bound + ["quota"] * (140 - bound))
        self.assertEqual(self.remove(removal(letter(2000))), ["quota"])
        self.assertEqual(self.ack(invented[0]), ["duplicate"])
        self.assertEqual(self.ack(*here), ["stored"] * 2)
        # Another mailbox has a bound of its own, and what has expired makes room.
        other = [letter(n, box=mailbox(2, KIND_REQUESTS)) for n in range(100)]
        codes = self.ack(*other)
        self.assertEqual(codes.count("stored"), TOMBSTONES_AN_ITEM)
        self.result(self.store.expire(at(24 + TOMBSTONE_GRACE_HOURS)))
        later = letter(3000, lives_hours=99)
        self.assertEqual(self.ack(later, now=at(27)), ["stored"])

    def test_tombstones_for_nothing_are_bounded_in_all(self) -> None:
        """They take a part of the budget, whatever mailboxes they name; messages have theirs."""
        self.store = self.make_store(max_bytes=LITTLE_BYTES)
        stored = full = 0
        for first in range(0, 6000, 100):
            boxes = [first.to_bytes(4) + n.to_bytes(27) + b"\x01" for n in range(100)]
            codes = self.ack(*(letter(first + n, box=box) for n, box in enumerate(boxes)))
            stored += codes.count("stored")
            full += codes.count("full")
        self.assertEqual(stored + full, 6000)
        self.assertGreater(full, 0)
        self.assertGreater(stored, 500)
        one = letter(9000)
        self.assertEqual(self.put(one), ["stored"])
        self.assertEqual(self.ack(one), ["stored"])

    def test_records_are_bounded_in_all(self) -> None:
        """New identities cost nothing, so their records take a part of the budget; one that is
        known here can always be renewed.
        """
        self.store = self.make_store(max_bytes=LITTLE_BYTES)
        codes = [
            self.publish(record(identity, 1, payload=bytes(7000)))[0] for identity in range(1, 120)
        ]
        self.assertEqual(set(codes), {"stored", "full"})
        self.assertEqual(self.publish(record(1, 2, payload=bytes(7000))), ["stored"])
        self.assertEqual(self.put(letter(1)), ["stored"])

    # -- peers and boots -------------------------------------------------------------------------

    def test_peers_are_remembered(self) -> None:
        """The last heard first; known ones are updated, forgotten ones gone."""
        one, two, three = peer(1, 10.0), peer(2, 30.0), peer(3, 20.0)
        self.result(self.store.save_peers([one, two, three]))
        self.assertEqual(self.result(self.store.load_peers()), [two, three, one])
        newer = peer(1, 40.0)
        self.result(self.store.save_peers([newer]))
        self.result(self.store.forget_peers([three.node, bytes(32)]))
        self.assertEqual(self.result(self.store.load_peers()), [newer, two])

    def test_only_so_many_peers_are_remembered(self) -> None:
        """The longest unheard go."""
        peers = [peer(n, float(n)) for n in range(1100)]
        self.result(self.store.save_peers(peers))
        self.assertEqual(self.result(self.store.load_peers()), peers[:-1025:-1])

    def test_anchors_are_replaced_in_order(self) -> None:
        """At most four, in the order they were given in; the book of peers is another one."""
        anchors = [peer(n, float(n)) for n in (3, 1, 4, 2, 5)]
        self.assertEqual(self.result(self.store.load_anchors()), [])
        self.result(self.store.save_anchors(anchors))
        self.assertEqual(self.result(self.store.load_anchors()), anchors[:4])
        self.result(self.store.save_anchors(anchors[3:]))
        self.assertEqual(self.result(self.store.load_anchors()), anchors[3:])
        self.assertEqual(self.result(self.store.load_peers()), [])
        self.result(self.store.save_anchors([]))
        self.assertEqual(self.result(self.store.load_anchors()), [])

    def test_who_answered_at_a_seed_is_remembered(self) -> None:
        """One node for each address; another takes its place when it is told so."""
        one, two = known_seed(1, 10.0), known_seed(2, 20.0, node=2)
        self.result(self.store.save_seeds([one, two]))
        self.assertEqual(self.result(self.store.load_seeds()), [two, one])
        other = known_seed(1, 30.0, node=9)
        self.result(self.store.save_seeds([other]))
        self.assertEqual(self.result(self.store.load_seeds()), [other, two])

    def test_only_so_many_seeds_are_remembered(self) -> None:
        """Those met longest ago go."""
        seeds = [known_seed(n, float(n)) for n in range(300)]
        self.result(self.store.save_seeds(seeds))
        self.assertEqual(self.result(self.store.load_seeds()), seeds[:-257:-1])

    def test_the_dead_are_remembered(self) -> None:
        """The last death first; known ones are updated, those that are back are gone."""
        one, two, three = known_dead(1, 10.5), known_dead(2, 30.0), known_dead(3, 20.0)
        self.result(self.store.save_dead([one, two, three]))
        self.assertEqual(self.result(self.store.load_dead()), [two, three, one])
        again = known_dead(1, 40.0, in_burst=True)
        self.result(self.store.save_dead([again]))
        self.result(self.store.forget_dead([three.node, bytes(32)]))
        self.assertEqual(self.result(self.store.load_dead()), [again, two])
        self.assertEqual(self.result(self.store.load_peers()), [])

    def test_only_so_many_dead_are_remembered(self) -> None:
        """The longest dead go."""
        dead = [known_dead(n, float(n)) for n in range(1100)]
        self.result(self.store.save_dead(dead[:1000]))
        self.result(self.store.save_dead(dead[1000:]))
        self.assertEqual(self.result(self.store.load_dead()), dead[:-1025:-1])

    def test_every_boot_is_higher(self) -> None:
        """The clock's seconds, unless that would not be more than last time."""
        boots = [self.result(self.store.next_boot(now)) for now in (1000.9, 1000.9, 900.0, 2000.0)]
        self.assertEqual(boots, [1000, 1001, 1002, 2000])

    # -- the end ---------------------------------------------------------------------------------

    def test_a_closed_store_refuses(self) -> None:
        """Every call fails, and closing again does not."""
        self.result(self.store.close())
        self.result(self.store.close())
        calls: Sequence[Deferred[Any]] = [
            self.store.put_envelopes([letter(1).envelope], NOW),
            self.store.list_mailbox(mailbox(1), 0, 1, NOW),
            self.store.expire(NOW),
            self.store.totals(),
        ]
        for call in calls:
            with self.assertRaises(StoreError):
                self.result(call)
