"""A node written from docs/protocol/peer.md alone, on the primitives of basics.py.

No line of tace is used. It keeps what it is sent in memory, believes every object that other nodes
write to it, and serves no watches: what a replica must do besides is left out.
"""

import datetime
import struct
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgpack import packb, unpackb  # type: ignore[import-untyped]
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.independent.basics import H, Key, key_from, load, point, signed, stamp, verify

ALPN = b"tace/1"
DIALLED, LISTENED = 1, 2
HELLO, REFUSED, GOODBYE, DONE, PONG, PING = range(1, 7)
RING, GET_RING, NOTIFY = range(10, 13)
RECORDS, GET_RECORDS, MEMBERS, GET_MEMBERS = range(20, 24)
PUT_ANSWER, PUT_ENVELOPES, PUT_TOMBSTONES, MAILBOX_PAGE, WATCH = range(30, 35)
LIST_MAILBOX, UNWATCH, ENVELOPE_LIST, FETCH_ENVELOPES, ARRIVED = range(35, 40)
PUT_RECORD, RECORD_ANSWER, GET_RECORD, STORE_BLOB, BLOB_ANSWER, FETCH_BLOB = range(40, 46)
ITEM_PAGE, LIST_ITEMS, ITEMS, FETCH_ITEMS, BLOB_PAGE, LIST_BLOBS = range(50, 56)
ANSWERS = {REFUSED, DONE, PONG, RING, RECORDS, MEMBERS, PUT_ANSWER, MAILBOX_PAGE, ENVELOPE_LIST}
ANSWERS |= {RECORD_ANSWER, BLOB_ANSWER, ITEM_PAGE, ITEMS, BLOB_PAGE}
ENVELOPE, TOMBSTONE, RECORD = 1, 2, 3  # the states of an item
CHUNK, LAST_KEY = 63488, b"\xff" * 32
WHOLE_RING = LAST_KEY, b"\xff" * 31 + b"\xfe"

Item = tuple[bytes, bytes, int]  # key, name, state
Place = tuple[bytes, int]  # node id, number


class Refused(Exception):
    """The answer to a request was `Refused`; its word is the first argument."""


# Identifiers and objects (sections 1 and 6)


def node_id(identity: bytes) -> bytes:
    spki = load(identity).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return H("tace node 1", spki)


def position(place: Place) -> bytes:
    return H("tace position 1", place[0], bytes([place[1]]))


def mailbox(key: Key, kind: int) -> bytes:
    return H("tace mailbox 1", point(key))[:31] + bytes([kind])


def message_id(envelope: bytes) -> bytes:
    return H("tace message 1", envelope[1:69], sha256(envelope[78:]).digest())


def make_envelope(box: bytes, hours: int, secret: bytes, bits: int = 0) -> bytes:
    head = b"\1" + box + hours.to_bytes(4) + H("tace lock 1", secret)
    blob = token_bytes(3552)
    unstamped = head + bytes(9) + blob
    return head + stamp(message_id(unstamped), bits) + blob if bits else unstamped


def make_tombstone(envelope: bytes, secret: bytes) -> bytes:
    return message_id(envelope) + envelope[33:37] + secret + sha256(envelope[78:]).digest()


def make_removal(key: Key, kind: int, envelopes: list[bytes]) -> bytes:
    items = b"".join(message_id(e) + e[33:37] for e in envelopes)
    return signed(key, "tace removal 1", point(key) + bytes([kind, len(envelopes)]) + items)


def make_user_record(key: Key, sequence: int, hours: int) -> bytes:
    body = b"\1\1" + point(key) + bytes(32) + struct.pack(">QIH", sequence, hours, 3) + b"abc"
    return signed(key, "tace user record 1", body)


def user_record_key(record: bytes) -> bytes:
    return H("tace record 1", record[1:67])


def make_blob(data: bytes, hours: int, bits: int) -> bytes:
    return hours.to_bytes(4) + stamp(sha256(data).digest(), bits) + data


def make_lease(key: Key, kind: int, network: bytes, node: bytes, until: int) -> list[Any]:
    origin, challenge = "http://mini", token_bytes(32)
    said = network + mailbox(key, kind) + node + bytes([len(origin)]) + origin.encode()
    said += challenge + until.to_bytes(8)
    return [point(key), kind, origin, challenge, until, signed(key, "tace lease 1", said)[-64:]]


def in_arc(key: bytes, start: bytes, end: bytes) -> bool:
    return start < key <= end if start < end else key > start or key <= end


@implementer(IOpenSSLContextFactory)
class Certificate:
    """What Twisted asks for a TLS context: a new certificate, long over, for it proves nothing."""

    def getContext(self) -> SSL.Context:
        key, name = key_from(token_bytes(48)), x509.Name([])
        then = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, then, then)
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.use_certificate(builder.sign(key, hashes.SHA256()))
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(
            lambda _, offered: ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
        )
        return context


@implementer(IHandshakeListener)
class Link(Protocol):
    """Sections 2 to 4: one connection between the mini node and another.

    `up` fires when the other side's hello is verified, `ended` with the word of its goodbye, which
    is empty after a cut. `heard` takes what the other side asked (after the answer) and told.
    """

    transport: Any
    peer: bytes = b""
    hello: list[Any]

    def __init__(self, node: "MiniNode", role: int, twist: Callable[[list[Any]], Any]) -> None:
        self.node, self.role, self.twist = node, role, twist
        self.received, self.word, self.last_request = b"", "", 0
        self.waiting: dict[int, Deferred[list[Any]]] = {}
        self.heard: DeferredQueue[tuple[int, list[Any]]] = DeferredQueue(10_000)
        self.up: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()

    def handshakeCompleted(self) -> None:
        assert self.transport.negotiatedProtocol == ALPN
        self.transport.setTcpNoDelay(True)
        hello = self.node.hello(self.proved(self.role))
        self.twist(hello)
        self.send(HELLO, 0, *hello)

    def proved(self, role: int) -> bytes:
        """What the signature of a hello covers, behind its label (2.1)."""
        exporter = self.transport.getHandle().export_keying_material(b"EXPORTER-tace-link-1", 32)
        return self.node.network + bytes([role]) + bytes(exporter)

    def send(self, number: int, request: int, *fields: Any) -> None:
        body = packb(fields)
        self.transport.write(struct.pack(">IHI", 6 + len(body), number, request) + body)

    def ask(self, number: int, *fields: Any) -> Deferred[list[Any]]:
        """The fields of the answer; fails with `Refused`, or when the link has ended."""
        self.last_request += 1
        answer = self.waiting[self.last_request] = Deferred()
        self.send(number, self.last_request, *fields)
        return answer.addTimeout(10, reactor)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        while len(self.received) >= 4:
            end = 4 + int.from_bytes(self.received[:4])
            if len(self.received) < end:
                break
            number, request = struct.unpack_from(">HI", self.received, 4)
            fields = unpackb(self.received[10:end])
            self.received = self.received[end:]
            self.frame(number, request, fields)

    def frame(self, number: int, request: int, fields: list[Any]) -> None:
        if number == HELLO:
            self.verify(fields)
        elif number == GOODBYE:
            self.word = fields[0]
        elif request and number in ANSWERS:
            answer = self.waiting.pop(request)
            answer.errback(Refused(*fields)) if number == REFUSED else answer.callback(fields)
        else:
            if request:
                answered, *rest = self.node.answer(self.peer, number, fields)
                self.send(answered, request, *rest)
            elif number == RECORDS:
                self.node.learn(fields[0])
            self.heard.put((number, fields))

    def verify(self, hello: list[Any]) -> None:
        versions, network, record, _, signature, *_ = self.hello = hello
        assert 1 in versions and network == self.node.network and not self.peer
        identity = self.node.read(record)[1]
        self.peer = node_id(identity)
        assert self.peer != self.node.id
        verify(identity, "tace link 1", self.proved(DIALLED + LISTENED - self.role) + signature)
        self.node.learn([record])
        self.up.callback(None)

    def close(self) -> Deferred[str]:
        self.transport.loseConnection()
        return self.ended

    def cut(self) -> Deferred[str]:
        """Ends whether or not the other side takes part."""
        if not self.ended.called:
            self.transport.abortConnection()
        return self.ended

    def connectionLost(self, reason: Failure | None = None) -> None:
        waiting, self.waiting = self.waiting, {}
        for answer in waiting.values():
            answer.errback(ConnectionError(self.word))
        self.ended.callback(self.word)


class MiniNode:
    """An identity of its own, the records it knows, and what it holds for mailboxes."""

    def __init__(self, address: str = "127.0.0.1:1", positions: int = 0b11) -> None:
        self.key, self.network = key_from(token_bytes(48)), H("tace network 1", b"tace")
        self.id, self.started, self.sequence = node_id(point(self.key)), int(time.time()), 0
        self.address, self.positions = address, positions
        self.items: dict[Item, bytes] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.known: dict[bytes, bytes] = {}
        self.notified: set[tuple[bytes, int, int]] = set()  # node and number of theirs, ours
        self.links: DeferredQueue[Link] = DeferredQueue(16)  # those that others dialled
        self.renew()

    def renew(self, *, away_until: int = 0) -> None:
        """Sign the record anew."""
        self.sequence, now = self.sequence + 1, int(time.time())
        fields = [1, point(self.key), [self.address], ["http://127.0.0.1:1"], self.started]
        fields += [self.sequence, self.positions, 0, "", False, away_until, "mini 1", [1], b""]
        body: bytes = packb([*fields, now + 86400])
        self.record = signed(self.key, "tace node record 1", self.network + body)[32:]
        self.known[self.id] = self.record

    def read(self, record: bytes) -> list[Any]:
        """The fields of a node record that its node has signed for this network."""
        fields: list[Any] = unpackb(record[:-64])
        verify(fields[1], "tace node record 1", self.network + record)
        return fields

    def learn(self, records: Iterable[bytes]) -> None:
        for record in records:
            fields = self.read(record)
            name = node_id(fields[1])
            if name not in self.known or self.read(self.known[name])[4:6] < fields[4:6]:
                self.known[name] = record

    def hello(self, proved: bytes) -> list[Any]:
        signature = signed(self.key, "tace link 1", proved)[-64:]
        return [[1], self.network, self.record, int(time.time() * 1000), signature, 0]

    async def dial(self, port: int, twist: Callable[[list[Any]], Any] = bool) -> Link:
        """A link under way to the node on that port; `twist` may change the hello's fields."""
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", port, Certificate())
        link = Link(self, DIALLED, twist)
        await connectProtocol(endpoint, link)
        return link

    def listen(self) -> Any:
        """Take links on any free port, and sign a record that names it."""

        def build(_: object) -> Link:
            link = Link(self, LISTENED, bool)
            link.up.addCallback(lambda _: self.links.put(link))
            return link

        factory = Factory()
        factory.buildProtocol = build  # type: ignore[assignment,method-assign]
        port = reactor.listenSSL(0, factory, Certificate(), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.address = f"127.0.0.1:{port.getHost().port}"
        self.renew()
        return port

    # Section 8: the ring and the replicas, as far as records tell

    def places(self) -> list[Place]:
        """All positions of all known nodes, in ring order."""
        masks = {name: self.read(record)[6] for name, record in self.known.items()}
        numbered = [(name, i) for name, mask in masks.items() for i in range(8) if mask >> i & 1]
        return sorted(numbered, key=position)

    def clockwise(self, key: bytes) -> list[Place]:
        places = self.places()
        at = bisect_left([position(place) for place in places], key)
        return places[at:] + places[:at]

    def ring(self, own: Place) -> list[list[Any]]:
        """The other places clockwise from that one, which are its successors."""
        return [[*place] for place in self.clockwise(position(own))[1:]]

    def candidates(self, key: bytes) -> list[bytes]:
        """The distinct nodes clockwise from the key."""
        return list(dict.fromkeys(name for name, _ in self.clockwise(key)))

    # Section 5: the answers to requests

    def keep(self, item: Item, value: bytes) -> list[Any]:
        new = item not in self.items
        self.items[item] = value
        return ["stored" if new else "duplicate"]

    def list_arc(self, start: bytes, end: bytes, records: bool, *after: Any) -> list[list[Any]]:
        listed = sorted(i for i in self.items if (i[2] == RECORD) == records)
        first = tuple(after[0][:2]) if after and after[0] else ()
        return [[*i] for i in listed if in_arc(i[0], start, end) and i[:2] > first][:512]

    def fetch(self, wanted: list[list[Any]]) -> list[list[Any]]:
        found = [(*item, self.items[tuple(item)]) for item in wanted if tuple(item) in self.items]
        dead = [(box, value) for box, _, state, value in found if state == TOMBSTONE]
        return [
            [value for *_, state, value in found if state == ENVELOPE][:16],
            [[box, value] for box, value in dead if len(value) == 84],
            [value for _, value in dead if len(value) > 84][:16],
            [value for *_, state, value in found if state == RECORD][:7],
        ]

    def answer(self, peer: bytes, number: int, fields: list[Any]) -> tuple[Any, ...]:
        """The number of the answer and its fields."""
        first: Any = fields[0] if fields else ()
        if number == PING:
            return (PONG,)
        if number == GET_RING:
            ring = self.ring((self.id, first))
            before = (place for place in reversed(ring) if (*place, first) in self.notified)
            snapshot = [next(before, None), ring]
            digest = H("mini ring", packb(snapshot))
            if fields[1:] == [digest]:
                return RING, first, True, digest, True
            return RING, first, True, digest, False, *snapshot
        if number == NOTIFY:
            self.notified.add((peer, fields[1], first))
            return (DONE,)
        if number == GET_RECORDS:
            return RECORDS, [self.known[name] for name in first if name in self.known]
        if number == GET_MEMBERS:
            read = {name: self.read(record)[4:6] for name, record in sorted(self.known.items())}
            return MEMBERS, [[n, *fresh] for n, fresh in read.items() if n > bytes(first)]
        if number == PUT_ENVELOPES:
            items = [((e[1:33], message_id(e), ENVELOPE), e) for e in first]
            return PUT_ANSWER, [self.keep(*item) for item in items]
        if number == PUT_TOMBSTONES:
            items = [((box, tombstone[:32], TOMBSTONE), tombstone) for box, tombstone in first]
            return PUT_ANSWER, [self.keep(*item) for item in items] + [["full"] for _ in fields[1]]
        if number == LIST_ITEMS:
            return ITEM_PAGE, self.list_arc(*fields)
        if number == FETCH_ITEMS:
            return ITEMS, *self.fetch(fields[0])
        if number == LIST_BLOBS:
            names = sorted(name for name in self.blobs if in_arc(name, *fields[:2]))
            named = [(name, int.from_bytes(self.blobs[name][:4])) for name in names]
            after = b"".join(fields[2:3])
            return BLOB_PAGE, [[name, over] for name, over in named if name > after][:512]
        if number == FETCH_BLOB:
            return BLOB_ANSWER, self.blobs.get(fields[0], b"")
        return REFUSED, "unknown-message"
