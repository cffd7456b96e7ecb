"""The Double Ratchet with header encryption."""

from __future__ import annotations

from random import Random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.pqxdh import SessionKeys
from tace.e2ee.ratchet import (
    MAX_COUNT,
    MAX_SKIP,
    MAX_SKIPPED_KEYS,
    OVERHEAD_BYTES,
    KeyGone,
    NoHeaderKey,
    Ratchet,
    RatchetError,
    Tampered,
    TooFarAhead,
    decrypt,
    encrypt,
    start_as_initiator,
    start_as_responder,
)
from tace.errors import Malformed

AD = b"associated data"


class Party:
    """One side; its state advances as messages go and come."""

    def __init__(self, ratchet: Ratchet, seed: int) -> None:
        self.ratchet = ratchet
        self.random_bytes = Random(seed).randbytes

    def send(self, plaintext: bytes) -> bytes:
        self.ratchet, message = encrypt(self.ratchet, plaintext, AD, self.random_bytes)
        return message

    def receive(self, message: bytes) -> bytes:
        self.ratchet, plaintext = decrypt(self.ratchet, message, AD, self.random_bytes)
        return plaintext


class RatchetTests(SynchronousTestCase):
    def setUp(self) -> None:
        keys = SessionKeys(b"t" * 32, b"r" * 32, b"i" * 32, b"h" * 32)
        prekey = AgreementKey.from_seed(b"p" * 48)
        self.ann = Party(start_as_initiator(keys, prekey.public, Random(1).randbytes), 2)
        self.ben = Party(start_as_responder(keys, prekey), 3)

    def _met(self) -> None:
        """Each has heard the other."""
        self.ben.receive(self.ann.send(b"hello"))
        self.ann.receive(self.ben.send(b"hello yourself"))

    def test_back_and_forth(self) -> None:
        """Every message opens at the other side; the keys step with each change of direction."""
        roots = set()
        for turn in range(10):
            sender, recipient = (self.ann, self.ben) if turn % 2 == 0 else (self.ben, self.ann)
            for at in range(3):
                text = b"%d %d" % (turn, at)
                self.assertEqual(text, recipient.receive(sender.send(text)))
            roots.add(recipient.ratchet.root)
        self.assertEqual(10, len(roots))

    def test_overhead(self) -> None:
        """salt 16, sealed header 57, tag 16."""
        self.assertEqual(89, OVERHEAD_BYTES)
        self.assertEqual(89 + 100, len(self.ann.send(bytes(100))))

    def test_any_order(self) -> None:
        """Also across changes of direction, where late ones come from a chain that has ended."""
        self._met()
        early = [self.ann.send(b"early %d" % n) for n in range(3)]
        self.ann.receive(self.ben.send(b"answer"))
        late = [self.ann.send(b"late %d" % n) for n in range(3)]
        for message, text in (
            (late[2], b"late 2"),
            (early[1], b"early 1"),
            (late[0], b"late 0"),
            (early[2], b"early 2"),
            (early[0], b"early 0"),
            (late[1], b"late 1"),
        ):
            self.assertEqual(text, self.ben.receive(message))
        self.assertEqual(0, self.ben.ratchet.skipped_count)

    def test_each_message_opens_once(self) -> None:
        """In order, skipped, or of a former chain: the second time there is no key."""
        self._met()
        first, second, third = (self.ann.send(b"%d" % n) for n in range(3))
        for message in (first, third, second):
            self.ben.receive(message)
            before = self.ben.ratchet
            self.assertRaises(KeyGone, self.ben.receive, message)
            self.assertEqual(before, self.ben.ratchet)

    def test_replay_of_a_former_chain(self) -> None:
        """Once a chain is behind and nothing of it is missing, its headers do not open any more."""
        self._met()
        old = self.ann.send(b"old")
        self.ben.receive(old)
        for _ in range(2):
            self.ann.receive(self.ben.send(b"step"))
            self.ben.receive(self.ann.send(b"step"))
        self.assertRaises(NoHeaderKey, self.ben.receive, old)

    def test_tampering_changes_nothing(self) -> None:
        """Each bit of salt, header, body and tag counts, in each of the ways a message opens."""
        self._met()
        skipped = self.ann.send(b"skipped")
        self.ben.receive(self.ann.send(b"next"))
        in_order = self.ann.send(b"in order")
        stepped = Party(self.ann.ratchet, 9)
        stepped.receive(self.ben.send(b"step"))
        after_step = stepped.send(b"after step")
        for message in (skipped, in_order, after_step):
            before = self.ben.ratchet
            for at in range(len(message)):
                changed = bytearray(message)
                changed[at] ^= 1 << at % 8
                self.assertRaises(RatchetError, self.ben.receive, bytes(changed))
                self.assertIs(before, self.ben.ratchet)
        self.assertEqual(b"after step", self.ben.receive(after_step))
        self.assertEqual(b"skipped", self.ben.receive(skipped))

    def test_header_is_bound_to_the_body(self) -> None:
        """The header of one message over the body of another: tampered."""
        self._met()
        one, other = self.ann.send(b"one"), self.ann.send(b"two")
        self.assertRaises(Tampered, self.ben.receive, one[:73] + other[73:])

    def test_associated_data(self) -> None:
        """Another session's associated data does not open it."""
        message = self.ann.send(b"text")
        with self.assertRaises(Tampered):
            decrypt(self.ben.ratchet, message, b"other", self.ben.random_bytes)

    def test_ratchet_key_that_is_no_point(self) -> None:
        """A peer that sends one is refused, and nothing has changed."""
        self.ann.ratchet = msgspec.structs.replace(
            self.ann.ratchet, own_public=b"\x02" + b"\xff" * 32
        )
        before = self.ben.ratchet
        self.assertRaises(Tampered, self.ben.receive, self.ann.send(b"text"))
        self.assertIs(before, self.ben.ratchet)

    def test_chain_that_is_full(self) -> None:
        """After 2**32 - 1 messages in one chain it is over."""
        sending = self.ann.ratchet.sending
        assert sending is not None
        full = msgspec.structs.replace(sending, count=MAX_COUNT - 1)
        self.ann.ratchet = msgspec.structs.replace(self.ann.ratchet, sending=full)
        self.ann.send(b"the last")
        self.assertRaises(ValueError, self.ann.send, b"one more")

    def test_too_short(self) -> None:
        """Bytes that cannot be a message."""
        for length in (0, 1, OVERHEAD_BYTES - 1):
            self.assertRaises(NoHeaderKey, self.ben.receive, bytes(length))

    def test_tag_is_verified_before_randomness_is_drawn(self) -> None:
        """A stranger cannot make the other side use up its random source."""
        message = bytearray(self.ann.send(b"text"))
        message[-1] ^= 1

        def none_left(count: int) -> bytes:
            raise AssertionError("randomness was drawn")

        with self.assertRaises(Tampered):
            decrypt(self.ben.ratchet, bytes(message), AD, none_left)

    def test_exactly_a_thousand_ahead(self) -> None:
        """A thousand missing before it is the most."""
        self._met()
        for _ in range(MAX_SKIP):
            self.ann.send(b"lost")
        at_the_limit = self.ann.send(b"the last that may come")
        self.assertEqual(b"the last that may come", self.ben.receive(at_the_limit))
        self.assertEqual(MAX_SKIP, self.ben.ratchet.skipped_count)

    def test_more_than_a_thousand_ahead(self) -> None:
        """Refused, whether missing in this chain or at the end of the former one."""
        self._met()
        first = self.ann.send(b"first")
        for _ in range(MAX_SKIP):
            self.ann.send(b"lost")
        too_far = self.ann.send(b"too far")
        before = self.ben.ratchet
        self.assertRaises(TooFarAhead, self.ben.receive, too_far)
        self.ann.receive(self.ben.send(b"step"))
        self.assertRaises(TooFarAhead, self.ben.receive, self.ann.send(b"next chain"))
        self.assertEqual(before.receiving, self.ben.ratchet.receiving)
        self.assertEqual(b"first", self.ben.receive(first))

    def test_oldest_skipped_keys_are_evicted(self) -> None:
        """At most a thousand over all chains; what came too late is told apart by its name."""
        self._met()
        old = [self.ann.send(b"old %d" % n) for n in range(600)]
        self.ben.receive(self.ann.send(b"x"))
        self.ann.receive(self.ben.send(b"step"))
        new = [self.ann.send(b"new %d" % n) for n in range(600)]
        self.ben.receive(self.ann.send(b"y"))
        self.assertEqual(MAX_SKIPPED_KEYS, self.ben.ratchet.skipped_count)
        for lost in (old[0], old[199]):
            self.assertRaises(KeyGone, self.ben.receive, lost)
        self.assertEqual(b"old 200", self.ben.receive(old[200]))
        self.assertEqual(b"new 0", self.ben.receive(new[0]))
        self.assertEqual(b"new 599", self.ben.receive(new[599]))

    def test_a_whole_chain_is_evicted(self) -> None:
        """When newer ones fill the thousand, a chain that is empty goes altogether."""
        self._met()
        self.ann.send(b"lost")
        self.ben.receive(self.ann.send(b"x"))
        self.ann.receive(self.ben.send(b"step"))
        for _ in range(MAX_SKIP):
            self.ann.send(b"lost")
        self.ben.receive(self.ann.send(b"y"))
        self.assertEqual(1, len(self.ben.ratchet.skipped))
        self.assertEqual(MAX_SKIPPED_KEYS, self.ben.ratchet.skipped_count)

    def test_rolled_back_sender_repeats_no_key(self) -> None:
        """The same place in the same chain, from an older state: other bytes, other key, refused
        by who has seen the first."""
        self._met()
        saved = self.ann.ratchet
        first = self.ann.send(b"same text")
        self.ann.ratchet = saved
        second = self.ann.send(b"same text")
        self.assertNotEqual(first[:16], second[:16])
        self.assertNotEqual(first[73:], second[73:])
        self.ben.receive(first)
        self.assertRaises(KeyGone, self.ben.receive, second)

    def test_responder_cannot_send_first(self) -> None:
        """It has no sending chain until it has received."""
        self.assertRaises(ValueError, self.ben.send, b"too early")

    def test_stored_and_read_back(self) -> None:
        """At every step of a conversation, with skipped keys, the state survives the disk."""
        self._met()
        self.ann.send(b"lost")
        late = self.ann.send(b"late")
        self.ben.receive(self.ann.send(b"x"))
        for party in (self.ann, self.ben):
            stored = party.ratchet.to_bytes()
            party.ratchet = Ratchet.from_bytes(stored)
            self.assertEqual(stored, party.ratchet.to_bytes())
        self.assertEqual(b"late", self.ben.receive(late))
        self.assertEqual(b"answer", self.ann.receive(self.ben.send(b"answer")))

    def test_broken_store(self) -> None:
        """Bytes we did not write are refused."""
        stored = self.ann.ratchet.to_bytes()
        for wrong in (b"", stored[:-1], stored + b"\0", stored.replace(b"\x01", b"\x02", 1)):
            self.assertRaises(Malformed, Ratchet.from_bytes, wrong)

    def test_secrets_are_not_shown(self) -> None:
        """No repr on the way down holds a key."""
        self._met()
        self.ann.send(b"lost")
        self.ben.receive(self.ann.send(b"x"))
        ratchet = self.ben.ratchet
        shown = f"{ratchet!r} {ratchet.sending!r} {ratchet.skipped!r}"
        self.assertEqual("<Ratchet> <Chain at 0> (<SkippedKeys 1>,)", shown)
