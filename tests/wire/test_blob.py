"""The layout of a blob between nodes, its stamp, and how it fits the messages."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from tace.errors import Malformed
from tace.wire import client, peer
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.message import encode
from tace.wire.objects import CHUNK_BYTES, STORED_BLOB_BYTES, Blob, is_stamped, stamp_bits

DATA = bytes(range(256)) * (CHUNK_BYTES // 256)


class BlobTests(SynchronousTestCase):
    """expires u32 | target u8 | nonce u64 | data."""

    def test_layout(self) -> None:
        """Byte for byte, there and back; the hash is that of the data alone."""
        blob = Blob.make(DATA, expires_hours=0x01020304, stamp_target=5, stamp_nonce=6)
        encoded = bytes.fromhex("01020304050000000000000006") + DATA
        self.assertEqual(blob.encoded, encoded)
        self.assertEqual(Blob.parse(encoded), blob)
        self.assertEqual(blob.hash, sha256(DATA).digest())
        self.assertEqual(len(encoded), STORED_BLOB_BYTES)

    def test_other_lengths(self) -> None:
        """Are malformed: nothing is padded or cut."""
        for length in (0, 12, 13, CHUNK_BYTES, STORED_BLOB_BYTES - 1, STORED_BLOB_BYTES + 1):
            self.assertRaises(Malformed, Blob.parse, bytes(length))
        for length in (0, CHUNK_BYTES - 1, CHUNK_BYTES + 1):
            self.assertRaises(Malformed, Blob.make, bytes(length), expires_hours=1)

    def test_stamp(self) -> None:
        """Over the hash, with a committed target; it is good for less, not for more."""
        name = sha256(DATA).digest()
        nonce = next(n for n in count() if stamp_bits(name, 8, n) >= 8)
        blob = Blob.make(DATA, expires_hours=1, stamp_target=8, stamp_nonce=nonce)
        good = [bits for bits in range(12) if blob.stamped_for(bits)]
        self.assertEqual(good, list(range(9)))
        longer = Blob.make(DATA, expires_hours=9, stamp_target=8, stamp_nonce=nonce)
        self.assertTrue(longer.stamped_for(8))
        other = Blob.make(DATA[::-1], expires_hours=1, stamp_target=8, stamp_nonce=nonce)
        self.assertEqual(other.stamped_for(8), is_stamped(other.hash, 8, nonce, wanted=8))
        self.assertFalse(Blob.make(DATA, expires_hours=1).stamped_for(1))
        self.assertTrue(Blob.make(DATA, expires_hours=1).stamped_for(0))

    def test_the_largest_messages_fit(self) -> None:
        """Between nodes beside one record of any size; from a client with its header."""
        stored = peer.StoreBlob(bytes(STORED_BLOB_BYTES), (bytes(1024),))
        self.assertLessEqual(len(encode(stored)), MAX_BODY_BYTES)
        found = peer.BlobAnswer(bytes(STORED_BLOB_BYTES), True)
        self.assertLessEqual(len(encode(found)), MAX_BODY_BYTES)
        put = client.PutBlob(bytes(CHUNK_BYTES), 2**32 - 1, 255, 2**63 - 1)
        whole = client.encode_client_message(put, 2**32 - 1)
        self.assertLessEqual(len(whole), client.MAX_CLIENT_MESSAGE_BYTES)
