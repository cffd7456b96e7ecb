"""What every store promises about blobs, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StoreError
from tace.ids import Arc
from tace.seams import Store
from tace.wire.fields import BlobName
from tace.wire.objects import CHUNK_BYTES, Blob
from tests.storage.objects import NOW, at, blob, letter, record

T = TypeVar("T")
WHOLE = Arc(bytes(32), bytes(32))
LITTLE_BYTES = 4 * 1024 * 1024

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object


class BlobContract(_Case):
    """Mixed in beside :class:`~tests.storage.contract.StoreContract`."""

    store: Store

    if TYPE_CHECKING:

        def make_store(self, **settings: int) -> Store: ...

        def result(self, deferred: Deferred[T]) -> T: ...

    def keep(self, *blobs: Blob, now: float = NOW) -> list[str]:
        """The codes for these blobs."""
        return [answer.code for answer in self.result(self.store.put_blobs(blobs, now))]

    def kept(self, it: Blob, now: float = NOW) -> Blob | None:
        return self.result(self.store.get_blob(it.hash, now))

    def names(
        self, arc: Arc = WHOLE, *, after: bytes = b"", limit: int = 512, now: float = NOW
    ) -> list[BlobName]:
        return self.result(self.store.list_blobs(arc, after=after, limit=limit, now=now))

    def blobs_held(self) -> int:
        return self.result(self.store.totals()).blobs

    def test_a_blob_comes_back_as_it_was(self) -> None:
        """Every byte, its expiry and its stamp; under its hash alone."""
        one = blob(1, stamp_target=18)
        self.assertEqual(self.keep(one), ["stored"])
        self.assertEqual(self.kept(one), one)
        self.assertIsNone(self.kept(blob(2)))
        self.assertEqual(self.blobs_held(), 1)

    def test_the_largest_nonce_comes_back(self) -> None:
        """All 64 bits of it, and all 32 of the expiry."""
        one = Blob.make(
            bytes(CHUNK_BYTES), expires_hours=2**32 - 1, stamp_target=255, stamp_nonce=2**64 - 1
        )
        self.keep(one)
        self.assertEqual(self.kept(one), one)
        self.assertEqual(self.names(), [BlobName(one.hash, 2**32 - 1)])

    def test_each_blob_has_its_answer(self) -> None:
        """In the order of the arguments."""
        one, two, over = blob(1), blob(2), blob(3, lives_hours=0)
        self.keep(two)
        self.assertEqual(
            self.keep(one, over, two, one), ["stored", "expired", "duplicate", "duplicate"]
        )
        self.assertEqual(self.keep(), [])

    def test_the_latest_expiry_holds_with_its_stamp(self) -> None:
        """An earlier or the same one changes nothing, however good its stamp."""
        self.keep(blob(1, lives_hours=5, stamp_target=9))
        self.assertEqual(self.keep(blob(1, lives_hours=4, stamp_target=20)), ["duplicate"])
        self.assertEqual(self.keep(blob(1, lives_hours=5, stamp_target=20)), ["duplicate"])
        self.assertEqual(self.kept(blob(1)), blob(1, lives_hours=5, stamp_target=9))
        later = blob(1, lives_hours=8, stamp_target=3)
        self.assertEqual(self.keep(later), ["stored"])
        self.assertEqual(self.kept(later), later)
        self.assertEqual(self.names(), [BlobName(later.hash, later.expires_hours)])
        self.assertEqual(self.blobs_held(), 1)

    def test_an_expired_blob_is_not_served(self) -> None:
        """Forgotten or not; put again with a later hour it is there again."""
        one = blob(1, lives_hours=5)
        self.keep(one)
        self.assertEqual(self.kept(one, now=at(4.99)), one)
        self.assertIsNone(self.kept(one, now=at(5)))
        self.assertEqual(self.names(now=at(5)), [])
        self.assertEqual(self.keep(one, now=at(5)), ["expired"])
        again = blob(1, lives_hours=9)
        self.assertEqual(self.keep(again, now=at(5)), ["stored"])
        self.assertEqual(self.kept(one, now=at(5)), again)

    def test_expiry_forgets_blobs(self) -> None:
        """Those that are over, however many; and says how many that were."""
        short = [blob(n, lives_hours=2) for n in range(40)]
        long = blob(1000, lives_hours=3)
        self.keep(*short, long)
        self.assertEqual(self.result(self.store.expire(at(1.99))), 0)
        self.assertEqual(self.result(self.store.expire(at(2))), 40)
        self.assertEqual(self.blobs_held(), 1)
        self.assertEqual(self.kept(long, now=at(2)), long)
        self.assertEqual(self.names(now=at(2)), [BlobName(long.hash, long.expires_hours)])

    def test_pages_of_an_arc_join_up(self) -> None:
        """Start excluded, end included, also round the zero; no more than the limit."""
        blobs = sorted((blob(n) for n in range(12)), key=lambda it: it.hash)
        self.keep(*blobs)
        hashes = [it.hash for it in blobs]
        for arc in (
            WHOLE,
            Arc(hashes[3], hashes[8]),
            Arc(hashes[8], hashes[3]),
            Arc(hashes[5], hashes[5]),
        ):
            seen: list[bytes] = []
            while page := self.names(arc, after=seen[-1] if seen else b"", limit=5):
                self.assertLessEqual(len(page), 5)
                seen += [name.hash for name in page]
            self.assertEqual(seen, [name for name in hashes if name in arc])

    def test_blobs_are_no_items(self) -> None:
        """Listings of messages and records do not show them."""
        self.keep(blob(1))
        for records in (False, True):
            listed = self.store.list_items(WHOLE, records=records, after=None, limit=9, now=NOW)
            self.assertEqual(self.result(listed), [])

    def test_blobs_never_keep_messages_out(self) -> None:
        """They are refused while there is room for envelopes and records."""
        self.store = self.make_store(max_bytes=LITTLE_BYTES)
        number = 0
        while self.keep(blob(number)) == ["stored"]:
            number += 1
            self.assertLess(number, 100)
        self.assertGreater(number, 10)
        self.assertEqual(self.keep(blob(999)), ["full"])
        self.assertEqual(self.keep(blob(0)), ["duplicate"])
        self.assertEqual(self.keep(blob(0, lives_hours=30)), ["stored"])
        letters = [letter(n).envelope for n in range(50)]
        stored = self.result(self.store.put_envelopes(letters, NOW))
        self.assertEqual({put.code for put in stored}, {"stored"})
        (put,) = self.result(self.store.put_records([record(1, 1)], NOW))
        self.assertEqual(put.code, "stored")
        self.assertLessEqual(self.result(self.store.totals()).bytes, LITTLE_BYTES)
        self.result(self.store.expire(at(24)))
        self.assertEqual(self.keep(blob(999, lives_hours=48), now=at(24)), ["stored"])

    def test_messages_count_against_blobs(self) -> None:
        """The budget is one: what messages take is not there for files."""
        self.store = self.make_store(max_bytes=LITTLE_BYTES, mailbox_max_items=10_000)
        number = 0
        while self.result(self.store.put_envelopes([letter(number).envelope], NOW))[0].durable:
            number += 1
            self.assertLess(number, 2000)
        self.assertEqual(self.keep(blob(1)), ["full"])

    def test_a_closed_store_takes_no_blobs(self) -> None:
        """Every call fails."""
        self.result(self.store.close())
        calls: Sequence[Deferred[Any]] = [
            self.store.put_blobs([blob(1)], NOW),
            self.store.get_blob(bytes(32), NOW),
            self.store.list_blobs(WHOLE, after=b"", limit=1, now=NOW),
        ]
        for call in calls:
            with self.assertRaises(StoreError):
                self.result(call)
