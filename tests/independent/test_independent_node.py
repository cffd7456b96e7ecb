"""The mini node and a real one, linked with each other.

Nothing of tace is imported here: the real node is a process.
"""

import contextlib
import time
import tomllib
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.independent.basics import key_from
from tests.independent.mini_node import (
    ARRIVED,
    CHUNK,
    ENVELOPE,
    FETCH_BLOB,
    FETCH_ENVELOPES,
    FETCH_ITEMS,
    GET_MEMBERS,
    GET_RECORD,
    GET_RECORDS,
    GET_RING,
    GOODBYE,
    HELLO,
    LIST_BLOBS,
    LIST_ITEMS,
    LIST_MAILBOX,
    NOTIFY,
    PING,
    PUT_ENVELOPES,
    PUT_RECORD,
    PUT_TOMBSTONES,
    RECORD,
    RECORDS,
    STORE_BLOB,
    TOMBSTONE,
    UNWATCH,
    WATCH,
    WHOLE_RING,
    Link,
    MiniNode,
    Refused,
    mailbox,
    make_blob,
    make_envelope,
    make_lease,
    make_removal,
    make_tombstone,
    make_user_record,
    message_id,
    node_id,
    user_record_key,
)
from tests.independent.program import Program

T = TypeVar("T")
STAMP_BITS = 8
BORNE_FORGERIES = 16


def damaged(signed: bytes) -> bytes:
    return signed[:-1] + bytes([signed[-1] ^ 1])


async def word(answer: Awaitable[Any]) -> str:
    """The word of a refusal."""
    try:
        await answer
    except Refused as refused:
        return str(refused.args[0])
    raise AssertionError("it was not refused")


async def results(answer: Awaitable[list[Any]]) -> list[str]:
    """The codes in a `PutAnswer`."""
    return [code for code, *_ in (await answer)[0]]


async def heard(link: Link, number: int) -> list[Any]:
    """The fields of the next message with that number; those before it are passed over."""
    while True:
        heard_number, fields = await link.heard.get().addTimeout(10, reactor)
        if heard_number == number:
            return fields


async def until(link: Link, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask again after whatever the other side says, until the answer is good."""
    while not good(answer := await ask()):
        await link.heard.get().addTimeout(10, reactor)
    return answer


class NodeTest(TestCase):
    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        base = Path(self.mktemp()).absolute()
        self.program = Program(
            *("network", "--nodes", "1", "--base-dir", str(base), "--first-port", "0"),
            *("--set", f"limits.requests_stamp_bits={STAMP_BITS}"),
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.program.stop()))
        await self.program.says("The node is ready", 30)
        settings = tomllib.loads((base / "node-0" / "node.toml").read_text())
        self.port = int(settings["links"]["listen"].split(":")[1])
        self.hours = int(time.time()) // 3600 + 5

    async def dial(self, node: MiniNode, twist: Callable[[list[Any]], Any] = bool) -> Link:
        link = await node.dial(self.port, twist)
        self.addCleanup(link.cut)
        return link

    async def linked(self, node: MiniNode) -> Link:
        link = await self.dial(node)
        await link.up.addTimeout(10, reactor)
        return link

    async def ended(self, link: Link, *, within: float = 10) -> str:
        return await link.ended.addTimeout(within, reactor)


class RingTest(NodeTest):
    async def test_ring_and_membership(self) -> None:
        node = MiniNode()
        listening = node.listen()
        self.addCleanup(listening.stopListening)
        link = await self.linked(node)
        self.assertEqual(await link.ask(PING), [])  # so it has verified the mini node's hello
        self.assertEqual(link.hello[5], STAMP_BITS)
        self.assertLess(abs(link.hello[3] / 1000 - time.time()), 60)
        peer = node.read(node.known[link.peer])
        self.assertEqual(peer[2], [f"127.0.0.1:{self.port}"])
        theirs = [place for place in node.places() if place[0] == link.peer]
        self.assertEqual(len(theirs), 4)

        # It says Notify to a position of the mini node, and takes it in at each of its own.
        to, own = await heard(link, NOTIFY)
        self.assertIn((node.id, to), node.places())
        self.assertIn((link.peer, own), theirs)
        for place in theirs:
            wanted = node.ring(place)
            if wanted[-1][0] == node.id:
                self.assertEqual(await link.ask(NOTIFY, place[1], wanted[-1][1]), [])

            async def ring(index: int = place[1]) -> list[Any]:
                return await link.ask(GET_RING, index)

            def whole(ring: list[Any], wanted: list[Any] = wanted) -> bool:
                return ring[1] and ring[4:] == [wanted[-1], wanted]

            index, _, digest, unchanged, *_ = await until(link, ring, whole)
            self.assertEqual((index, unchanged), (place[1], False))
            again = await link.ask(GET_RING, index, digest)
            self.assertEqual(again[:4], [index, True, digest, True])
            self.assertEqual(again[4:], [None, []])

        # Of positions that are not there nothing is said.
        self.assertEqual(await word(link.ask(GET_RING, 7)), "unauthorized")
        self.assertEqual(await word(link.ask(NOTIFY, 7, 0)), "unauthorized")
        self.assertEqual(await word(link.ask(NOTIFY, theirs[0][1], 7)), "unauthorized")
        self.assertEqual(await word(link.ask(200, b"new")), "unknown-message")
        link.send(201, 0, b"new")  # ignored

        # Members and their records; news is taken in.
        members = [[name, *node.read(node.known[name])[4:6]] for name in sorted(node.known)]
        self.assertEqual(await link.ask(GET_MEMBERS), [members, False])
        after = members[0][0]
        self.assertEqual((await link.ask(GET_MEMBERS, after))[0], members[1:])
        records = (await link.ask(GET_RECORDS, [node.id, bytes(32)]))[0]
        self.assertEqual(records, [node.record])
        node.renew()
        link.send(RECORDS, 0, [node.record])
        await until(link, lambda: link.ask(GET_RECORDS, [node.id]), [[node.record]].__eq__)

        # A cut: it dials the address of the record, and now the mini node has listened.
        await link.close()
        link = await node.links.get().addTimeout(20, reactor)
        self.addCleanup(link.cut)
        self.assertEqual(await link.ask(PING), [])
        # It stops: first the record that says so, then the goodbye.
        await self.program.stop()
        self.assertEqual(await self.ended(link), "draining")
        until_seconds = node.read(node.known[link.peer])[10]
        self.assertLess(abs(until_seconds - time.time() - 300), 60)

    async def test_misplaced(self) -> None:
        """A key whose first 24 nodes are others."""
        node = MiniNode()
        others = [MiniNode(positions=0xFF) for _ in range(32)]
        link = await self.linked(node)
        link.send(RECORDS, 0, [other.record for other in others])
        node.learn(other.record for other in others)
        names = [other.id for other in others]
        await until(
            link, lambda: link.ask(GET_RECORDS, names), lambda answer: len(answer[0]) == len(others)
        )

        def box(lowest: int, highest: int) -> bytes:
            while True:
                drawn = token_bytes(31) + b"\2"
                if lowest <= node.candidates(drawn).index(link.peer) < highest:
                    return drawn

        far, near = box(24, 34), box(0, 24)
        put = [make_envelope(key, self.hours, token_bytes(16)) for key in (far, near)]
        answer, records = await link.ask(PUT_ENVELOPES, put)
        self.assertEqual([code for code, *_ in answer], ["redirect", "stored"])
        nearest = [node_id(node.read(record)[1]) for record in records]
        self.assertTrue(nearest)
        self.assertEqual(nearest, node.candidates(far)[: len(nearest)])
        third = node.candidates(near)[-1]  # not within the first 16
        put = [make_envelope(near, self.hours, token_bytes(16))]
        self.assertEqual(await results(link.ask(PUT_ENVELOPES, put, [], third)), ["not-replica"])
        items = link.ask(LIST_ITEMS, *WHOLE_RING, False)
        self.assertEqual(await word(items), "not-replica")


class ReplicaTest(NodeTest):
    async def test_mailboxes(self) -> None:
        """A lease, a watch, each kind of write, and what others may read."""
        node, hours = MiniNode(), self.hours
        owner, now = key_from(token_bytes(48)), int(time.time())
        requests, contacts = mailbox(owner, 1), mailbox(owner, 2)
        link = await self.linked(node)

        def lease(seconds: int, receiver: bytes = node.id) -> list[Any]:
            return make_lease(owner, 2, node.network, receiver, now + seconds)

        for refused in (
            link.ask(WATCH, lease(1300), True),
            link.ask(WATCH, lease(600, link.peer), True),
            link.ask(FETCH_ENVELOPES, contacts, [bytes(32)]),
            link.ask(LIST_MAILBOX, contacts, 0),
        ):
            self.assertEqual(await word(refused), "unauthorized")
        self.assertEqual((await link.ask(WATCH, lease(600), True))[0], [])

        # Envelopes
        secret = token_bytes(16)
        envelope = make_envelope(contacts, hours, secret)
        name = message_id(envelope)
        codes = await results(link.ask(PUT_ENVELOPES, [envelope, envelope]))
        self.assertEqual(codes, ["stored", "duplicate"])
        self.assertEqual(await heard(link, ARRIVED), [[[contacts, name, hours, envelope]]])
        self.assertEqual((await link.ask(LIST_MAILBOX, contacts, 0))[0], [[name, hours]])
        fetched = await link.ask(FETCH_ENVELOPES, contacts, [name, bytes(32)])
        self.assertEqual(fetched, [[envelope]])
        stamped = make_envelope(requests, hours, token_bytes(16), STAMP_BITS)
        bad = [
            stamped[:69] + bytes(9) + stamped[78:],
            make_envelope(contacts, hours - 6, secret),
            make_envelope(contacts, hours + 24 * 31, secret),
            b"\2" + envelope[1:],
        ]
        codes = await results(link.ask(PUT_ENVELOPES, [stamped, *bad]))
        words = ["stamp-required", "expired", "too-far-ahead", "malformed"]
        self.assertEqual(codes, ["stored", *words])

        # What repair lists and fetches
        items: list[list[Any]] = [[contacts, name, ENVELOPE]]
        items = sorted([*items, [requests, message_id(stamped), ENVELOPE]])
        self.assertEqual((await link.ask(LIST_ITEMS, *WHOLE_RING, False))[0], items)
        listed = await link.ask(LIST_ITEMS, *WHOLE_RING, False, items[0])
        self.assertEqual(listed[0], items[1:])
        before = (int.from_bytes(items[1][0]) - 1).to_bytes(32)
        self.assertEqual((await link.ask(LIST_ITEMS, before, items[1][0], False))[0], items[1:])
        fetched = await link.ask(FETCH_ITEMS, [items[0], [contacts, bytes(32), TOMBSTONE]])
        first = envelope if items[0][0] == contacts else stamped
        self.assertEqual(fetched, [[first], [], [], []])

        # Tombstones and removals
        tombstone = make_tombstone(envelope, secret)
        invented = make_tombstone(envelope, bytes(16))
        dead = [[contacts, tombstone], [contacts, tombstone], [contacts, invented]]
        removal = make_removal(owner, 1, [stamped])
        codes = await results(link.ask(PUT_TOMBSTONES, dead, [removal, damaged(removal)]))
        words = ["stored", "duplicate", "malformed", "stored", "malformed"]
        self.assertEqual(codes, words)
        self.assertEqual((await link.ask(PUT_ENVELOPES, [envelope]))[0], [["acked", secret]])
        (acked,) = (await link.ask(PUT_ENVELOPES, [stamped]))[0]
        self.assertEqual([part for part in acked if part], ["acked"])
        gone = [[box, item, TOMBSTONE] for box, item, _ in items]
        fetched = await link.ask(FETCH_ITEMS, gone)
        self.assertEqual(fetched, [[], [[contacts, tombstone]], [removal], []])
        self.assertEqual((await link.ask(LIST_MAILBOX, contacts, 0))[0], [])
        link.send(UNWATCH, 0, [contacts])
        self.assertEqual(await word(link.ask(LIST_MAILBOX, contacts, 0)), "unauthorized")

    async def test_records_and_blobs(self) -> None:
        node, hours = MiniNode(), self.hours
        link = await self.linked(node)
        owner = key_from(token_bytes(48))
        older, newer = (make_user_record(owner, sequence, hours) for sequence in (1, 2))
        key = user_record_key(newer)
        for record, code in (
            (newer, "stored"),
            (newer, "duplicate"),
            (older, "stale-sequence"),
            (damaged(newer), "bad-record"),
        ):
            self.assertEqual(await results(link.ask(PUT_RECORD, record)), [code])
        self.assertEqual((await link.ask(GET_RECORD, key))[0], newer)
        self.assertEqual((await link.ask(GET_RECORD, bytes(32)))[0], b"")
        item = [key, sha256(newer).digest(), RECORD]
        self.assertEqual((await link.ask(LIST_ITEMS, *WHOLE_RING, True))[0], [item])
        self.assertEqual(await link.ask(FETCH_ITEMS, [item]), [[], [], [], [newer]])

        blob = make_blob(token_bytes(CHUNK), hours, STAMP_BITS)
        name, later = sha256(blob[13:]).digest(), (hours + 1).to_bytes(4) + blob[4:]
        for put, code in (
            (blob, "stored"),
            (blob, "duplicate"),
            (later, "stored"),
            (blob[:4] + bytes(9) + token_bytes(CHUNK), "stamp-required"),
        ):
            self.assertEqual(await results(link.ask(STORE_BLOB, put)), [code])
        self.assertEqual((await link.ask(FETCH_BLOB, name))[0], later)
        self.assertEqual((await link.ask(FETCH_BLOB, bytes(32)))[0], b"")
        self.assertEqual((await link.ask(LIST_BLOBS, *WHOLE_RING))[0], [[name, hours + 1]])

    async def test_it_pulls_from_the_mini_node(self) -> None:
        """It compares with the mini node when that stands in its ring; then hints are brought."""
        node, hours = MiniNode(), self.hours
        listening = node.listen()
        self.addCleanup(listening.stopListening)
        owner, now = key_from(token_bytes(48)), int(time.time())
        box, secret = mailbox(owner, 2), token_bytes(16)
        envelope, opened = (make_envelope(box, hours, secret) for _ in range(2))
        tombstone = make_tombstone(opened, secret)
        record = make_user_record(owner, 1, hours)
        blob = make_blob(token_bytes(CHUNK), hours, STAMP_BITS)
        node.keep((box, message_id(envelope), ENVELOPE), envelope)
        node.keep((box, message_id(opened), TOMBSTONE), tombstone)
        key = user_record_key(record)
        node.keep((key, sha256(record).digest(), RECORD), record)
        name = sha256(blob[13:]).digest()
        node.blobs[name] = blob
        link = await self.linked(node)
        wanted = [list(item) for item in node.items]

        async def pulled() -> list[Any]:
            return await link.ask(FETCH_ITEMS, wanted)

        whole = [[envelope], [[box, tombstone]], [], [record]]
        await until(link, pulled, lambda brought: brought == whole)

        async def stored() -> bytes:
            return bytes((await link.ask(FETCH_BLOB, name))[0])

        await until(link, stored, lambda brought: brought == blob)

        # Hints: kept for the mini node while it is away; not for one that stands nowhere.
        lease = make_lease(owner, 2, node.network, node.id, now + 600)
        self.assertEqual((await link.ask(WATCH, lease, False))[0], [[message_id(envelope), hours]])
        hinted = make_envelope(box, hours, token_bytes(16))
        codes = await results(link.ask(PUT_ENVELOPES, [hinted], [], token_bytes(32)))
        self.assertEqual(codes, ["not-replica"])
        codes = await results(link.ask(PUT_ENVELOPES, [hinted], [], node.id))
        self.assertEqual(codes, ["stored"])
        await link.close()
        link = await node.links.get().addTimeout(20, reactor)
        self.addCleanup(link.cut)
        self.assertEqual((await heard(link, PUT_ENVELOPES))[0], [hinted])
        self.assertEqual(node.items[box, message_id(hinted), ENVELOPE], hinted)


class BrokenRuleTest(NodeTest):
    async def test_hellos(self) -> None:
        """Each check of section 2.1, with all that stands behind it good."""
        real = (await self.linked(MiniNode())).hello[2]
        for place, value, goodbye in (
            (0, [2, 9], "wrong-version"),
            (1, bytes(32), "wrong-network"),
            (2, damaged(MiniNode().record), "bad-record"),
            (2, real, "wrong-node"),
            (4, bytes(64), "bad-link-proof"),
            (2, MiniNode().record, "bad-link-proof"),
            (3, -1, "protocol-error"),
            (2, bytes(3900), "protocol-error"),
        ):
            with self.subTest(goodbye):

                def twist(hello: list[Any], place: int = place, value: Any = value) -> None:
                    hello[place] = value

                link = await self.dial(MiniNode(), twist)
                self.assertEqual(await self.ended(link), goodbye)

    async def test_sessions(self) -> None:
        """Frames that no state allows end the link with the word for it."""
        for number, request, fields in (
            (PING, 0, []),
            (HELLO, 0, [[1]]),
            (NOTIFY, 1, [0]),
            (NOTIFY, 1, [0, True]),
            (GET_RING, 1, [256]),
            (5, 7, []),
            (ARRIVED, 1, [[]]),
            (PUT_ENVELOPES, 1, [[bytes(3629)]]),
            (200, 1, [bytes(65536)]),
        ):
            with self.subTest((number, request)):
                link = await self.linked(MiniNode())
                link.send(number, request, *fields)
                self.assertEqual(await self.ended(link), "protocol-error")
        link = await self.linked(MiniNode())
        link.send(GOODBYE, 0, "a word of my own")
        self.assertEqual(await self.ended(link), "")
        node = MiniNode()
        oldest, *_ = [await self.linked(node) for _ in range(3)]
        self.assertEqual(await self.ended(oldest), "duplicate")

    async def test_forged_signatures(self) -> None:
        """So many are borne, and one more for each second that goes by; the next ends the link."""
        node = MiniNode()
        link = await self.linked(node)
        began, borne = time.monotonic(), 0
        record = damaged(MiniNode().record)
        link.send(RECORDS, 0, [record] * 32)  # of a message the first is counted
        for _ in range(BORNE_FORGERIES - 1):
            link.send(RECORDS, 0, [record])
        self.assertEqual(await link.ask(PING), [])
        # Then this link, and the next of that node, end as soon as there are more.
        for ending in link, await self.linked(node):
            with contextlib.suppress(ConnectionError):
                while not ending.word:
                    ending.send(RECORDS, 0, [record])
                    await ending.ask(PING)
                    borne += 1
            self.assertEqual(await self.ended(ending), "forged")
        self.assertLessEqual(borne, time.monotonic() - began + 1)
        # Another node is borne all the same.
        other = await self.linked(MiniNode())
        other.send(RECORDS, 0, [record])
        self.assertEqual(await other.ask(PING), [])
