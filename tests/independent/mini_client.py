"""A client written from docs/protocol/{peer,client,e2ee}.md alone, on the primitives of basics.py.

No line of tace is used. It keeps its state in memory, reads no texts in parts and shows contents as
they come: what people's clients must do besides (save first, retry, keep order) is left out.
"""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgpack import packb, unpackb  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue

from tests.independent.basics import (
    Chain,
    H,
    Key,
    advance,
    body_cipher,
    dh,
    hkdf,
    identity_from,
    key_from,
    load,
    point,
    read_record,
    signed,
    stamp,
    verify,
)

SUITE = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Session:
    """A ratchet (section 5 of e2ee.md), and what is known of the device at its other end."""

    def __init__(self, root: bytes, own: Key, send: bytes, receive: bytes, **about: bytes) -> None:
        self.root, self.own, self.previous, self.about = root, own, 0, about
        self.next_sending, self.next_receiving = send, receive
        self.sending: Chain = (b"", b"", 0)
        self.receiving: Chain = (b"", b"", 0)
        self.skipped: dict[tuple[bytes, int], bytes] = {}
        self.random: Callable[[int], bytes] = token_bytes

    def step(self, theirs: bytes, header_key: bytes) -> tuple[Chain, bytes]:
        out = hkdf(dh(self.own, theirs), self.root, b"tace ratchet root 1", 96)
        self.root = out[:32]
        return (header_key, out[32:64], 0), out[64:]

    def seal(self, plaintext: bytes, ad: bytes) -> bytes:
        counts, salt = struct.pack(">II", self.previous, self.sending[2]), self.random(16)
        self.sending, message_key = advance(self.sending)
        header = AESGCM(self.sending[0]).encrypt(salt[:12], point(self.own) + counts, None)
        cipher, nonce = body_cipher(message_key, salt)
        return salt + header + cipher.encrypt(nonce, plaintext, ad + salt + header)

    def skip(self, to: int) -> None:
        assert to - self.receiving[2] <= 1000, "too far ahead"
        while self.receiving[2] < to:
            place = self.receiving[0], self.receiving[2]
            self.receiving, message_key = advance(self.receiving)
            self.skipped = {**self.skipped, place: message_key}

    def open(self, message: bytes, ad: bytes) -> bytes:
        new = copy(self)
        former = [header_key for header_key, _ in reversed(self.skipped)]
        for used in filter(None, [self.receiving[0], self.next_receiving, *former]):
            with suppress(InvalidTag):
                header = AESGCM(used).decrypt(message[:12], message[16:73], None)
                break
        else:
            raise LookupError("no header key")
        theirs, (previous, number) = header[:33], struct.unpack(">II", header[33:])
        if used == self.next_receiving:
            new.skip(previous if self.receiving[0] else 0)
            new.receiving, new.next_receiving = new.step(theirs, used)
        if used == new.receiving[0] and number >= new.receiving[2]:
            new.skip(number)
            new.receiving, message_key = advance(new.receiving)
        else:
            assert (used, number) in self.skipped, "key gone"
            message_key = self.skipped[used, number]
            new.skipped = {k: v for k, v in self.skipped.items() if k != (used, number)}
        cipher, nonce = body_cipher(message_key, message[:16])
        plaintext = cipher.decrypt(nonce, message[73:], ad + message[:73])
        if used == self.next_receiving:
            new.previous, new.own = self.sending[2], key_from(self.random(48))
            new.sending, new.next_sending = new.step(theirs, self.next_sending)
        vars(self).update(vars(new))
        return plaintext


def derive(start: bytes, agreed: bytes, responder: bytes, own: Key, other: bytes) -> Session:
    """Section 4, for the initiator; `other` is the device at the other end."""
    transcript = H("tace transcript 1", start, responder)
    keys = hkdf(agreed, b"", b"tace session keys 1" + transcript, 96)
    about = {"transcript": transcript, "start": start, "rides": start, "inbox": other[66:]}
    about["sender"] = other[:33] + H("tace device 1", other[33:66])
    return Session(keys[:32], own, keys[32:64], keys[64:], **about)


class Wire(WebSocketClientProtocol):
    """A connection to a node. The challenge answers request 0; `arrived` takes what is pushed."""

    waiting: dict[int, Deferred[list[Any]]]
    arrived: Callable[[bytes], Any]

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        number, request = struct.unpack_from(">HI", payload)
        body = unpackb(payload[6:])
        if number == 263:
            Deferred.fromCoroutine(self.arrived(body[0]))
        elif answer := self.waiting.pop(request, None):
            answer.errback(ConnectionError(body)) if number == 257 else answer.callback(body)

    def ask(self, number: int, *fields: Any) -> Deferred[list[Any]]:
        request = max(self.waiting, default=0) + 1
        self.waiting[request] = Deferred()
        self.sendMessage(struct.pack(">HI", number, request) + packb(fields), True)
        return self.waiting[request].addTimeout(10, reactor)


class Client:
    """A device of the identity of a recovery code, with its two mailboxes and its sessions."""

    network, stamp_bits, counter, number = b"", 0, 0, 1

    def __init__(self, recovery: str, seed: bytes) -> None:
        self.owner, self.seen = identity_from(recovery), {b""}
        keys = hkdf(seed, b"", b"tace device seed 1", 192)
        self.keys = [key_from(keys[i : i + 48]) for i in range(0, 192, 48)]
        self.prekey, self.kem = key_from(token_bytes(48)), MLKEM768PrivateKey.generate()
        self.sessions: list[Session] = []  # the one that sends is the first of its device
        self.texts: DeferredQueue[tuple[bytes, str]] = DeferredQueue()
        self.receipts: DeferredQueue[bytes] = DeferredQueue()
        self.know()

    def know(self) -> None:
        """All that follows from the private keys."""
        self.identity, *self.points = map(point, [self.owner, *self.keys])
        self.id, boxes = H("tace device 1", self.points[0]), enumerate(self.points[2:], 1)
        self.mailboxes = [H("tace mailbox 1", p)[:31] + bytes([kind]) for kind, p in boxes]
        self.prekeys = [point(self.prekey), self.kem.public_key().public_bytes_raw()]

    def records(self, now: int) -> Iterator[bytes]:
        devices = [1, [[self.id, now // 3600]]]
        device = [1, *self.points[:3], self.number, *self.prekeys]
        for kind, name, fields in (2, self.id, device), (1, bytes(32), devices):
            tail = struct.pack(">QI", now, now // 3600 + 720) + len(packb(fields)).to_bytes(2)
            record = bytes([1, kind]) + self.identity + name + tail + packb(fields)
            yield signed(self.owner, "tace user record 1", record)

    def start(self, identity: bytes, record: list[Any], now: int) -> Session:
        _, key, inbox, requests, number, prekey, kem_prekey = record[:7]
        shared, ciphertext = MLKEM768PublicKey.from_public_bytes(kem_prekey).encapsulate()
        keys = self.identity + self.points[0] + self.points[1] + (now // 3600 + 720).to_bytes(4)
        ephemeral, own = key_from(token_bytes(48)), key_from(token_bytes(48))
        start = b"\0" + signed(self.owner, "tace device certificate 1", keys)
        start += point(ephemeral) + struct.pack(">I", number) + ciphertext
        agreed = dh(self.keys[0], prekey) + dh(ephemeral, key, prekey) + shared
        responder = identity + key + prekey + kem_prekey
        session = derive(start, agreed, responder, own, identity + key + inbox)
        session.about["mailbox"] = H("tace mailbox 1", requests)[:31] + b"\1"
        session.sending, session.next_sending = session.step(prekey, session.next_sending)
        self.sessions.insert(0, session)
        return session

    def accept(self, start: bytes, now: float) -> Session:
        certificate, ephemeral, number = start[1:168], start[168:201], start[201:205]
        identity, key, inbox = certificate[:33], certificate[33:66], certificate[66:99]
        verify(identity, "tace device certificate 1", certificate)
        days = (int.from_bytes(certificate[99:103]) * 3600 - now) / 86400
        assert -30 <= days <= 31 and len({identity, key, inbox}) == 3 and start[0] < 2
        assert int.from_bytes(number) == self.number, "unknown prekey"
        agreed = dh(self.prekey, key) + dh(self.keys[0], ephemeral) + dh(self.prekey, ephemeral)
        agreed += self.kem.decapsulate(start[205:])
        responder = b"".join([self.identity, self.points[0], *self.prekeys])
        session = derive(start, agreed, responder, self.prekey, certificate[:99])
        session.next_sending, session.next_receiving = session.next_receiving, session.next_sending
        return session

    def inner(self, session: Session, content: bytes) -> bytes:
        rides, room = session.about["rides"], 2070 if session.about["rides"] else 3298
        assert len(content) <= room, "too large"
        prefix = b"\2" + rides if rides else b"\1" + self.identity + self.id
        plaintext = (len(content).to_bytes(2) + content).ljust(room + 2, b"\0")
        return prefix + session.seal(plaintext, session.about["transcript"] + prefix)

    def pack(self, session: Session, contents: list[Any], now: int) -> bytes:
        about, secret = session.about, token_bytes(16)
        plain = secret + self.inner(session, packb(contents))
        place = about["mailbox"] + (now // 3600 + 720).to_bytes(4) + H("tace lock 1", secret)
        info, inbox = b"tace envelope 1" + self.network + place, load(about["inbox"])
        blob = SUITE.encrypt(plain, inbox, info)
        bits = self.stamp_bits if about["mailbox"][-1] == 1 else 0
        return b"\1" + place + stamp(H("tace message 1", place, sha256(blob).digest()), bits) + blob

    def unseal(self, envelope: bytes) -> tuple[bytes, bytes]:
        place, blob, digest = envelope[1:69], envelope[78:], sha256(envelope[78:]).digest()
        plain = SUITE.decrypt(blob, self.keys[1], b"tace envelope 1" + self.network + place)
        assert H("tace lock 1", plain[:16]) == place[36:], "junk"
        return H("tace message 1", place, digest) + place[32:36] + plain[:16] + digest, plain[16:]

    def open(self, inner: bytes, now: float) -> tuple[Session, list[Any]]:
        prefix, claim = (inner[:66], "sender") if inner[0] == 1 else (inner[:1294], "start")
        tried = [s for s in self.sessions if s.about[claim] == prefix[1:]]
        if claim == "start" and not tried:
            tried = [self.accept(prefix[1:], now)]
        for session in tried:
            with suppress(LookupError):
                plaintext = session.open(inner[len(prefix) :], session.about["transcript"] + prefix)
                break
        else:
            raise LookupError("no session")
        end = 2 + int.from_bytes(plaintext[:2])
        assert end <= len(plaintext) and not any(plaintext[end:]), "bad padding"
        session.about["rides"] = b""
        self.sessions = [session, *(s for s in self.sessions if s is not session)]
        return session, unpackb(plaintext[2:end])

    async def dial(self, url: str) -> tuple[Wire, list[Any]]:
        factory = WebSocketClientFactory(f"ws{url[4:]}/v1/socket", protocols=["tace.client.1"])
        wire = Wire()
        wire.waiting, wire.arrived = {0: Deferred()}, self.arrived
        factory.protocol = lambda: wire  # type: ignore[assignment]
        connectWS(factory)
        challenge = await wire.waiting[0].addTimeout(5, reactor)
        assert url in challenge[4] and 1 in challenge[5], "not this node, or not this version"
        assert self.network in (b"", challenge[2]), "another network"
        self.network, self.stamp_bits = challenge[2], challenge[7]
        return wire, challenge

    async def connect(self, inbox: str, outbox: str) -> None:
        self.inbox, (nonce, clock, _, node, *_) = await self.dial(inbox)
        self.outbox, _ = await self.dial(outbox)
        for record in self.records(int(time.time())):
            state, *_ = await self.inbox.ask(275, record)
            assert state in ("stored", "partial"), state
        until = clock // 1000 + 900
        tail = bytes([len(inbox)]) + inbox.encode() + nonce + struct.pack(">Q", until)
        for kind, key, mailbox in zip((1, 2), self.keys[2:], self.mailboxes, strict=True):
            signature = signed(key, "tace lease 1", self.network + mailbox + node + tail)[-64:]
            await self.inbox.ask(261, [point(key), kind, inbox, nonce, until, signature])
        await self.inbox.ask(262, self.mailboxes)

    async def find(self, kind: int, identity: bytes, device: bytes) -> Any:
        key = H("tace record 1", bytes([kind]), identity, device)
        record = (await self.outbox.ask(273, key))[0]
        return read_record(record, kind, identity, device, time.time())

    async def say(self, identity: bytes, text: str) -> bytes:  # the content's id
        known = {s.about["sender"]: s for s in reversed(self.sessions)}
        sessions = [s for sender, s in known.items() if sender[:33] == identity]
        if not sessions:
            for device, _ in (await self.find(1, identity, bytes(32)))[1]:
                found = await self.find(2, identity, device)
                sessions.append(self.start(identity, found, int(time.time())))
        self.counter, name = self.counter + 1, token_bytes(16)
        for session in sessions:
            more = (5, token_bytes(16), 0, ["Mini"]), (6, token_bytes(16), 0, [self.mailboxes[1]])
            await self.write(session, (1, name, self.counter, [text]), *more)
        return name

    async def write(self, session: Session, *contents: Any) -> None:
        now = time.time()
        whole = [[kind, name, n, int(now * 1000), None, body] for kind, name, n, body in contents]
        states = (await self.outbox.ask(271, [self.pack(session, whole, int(now))]))[0]
        assert states[0][0] in ("stored", "partial", "acked"), states[0][0]

    async def arrived(self, envelope: bytes) -> None:
        tombstone, inner = self.unseal(envelope)
        tag, told = H("tace consumed 1", inner)[:8], []
        if tag not in self.seen:
            session, contents = self.open(inner, time.time())
            self.seen.add(tag)
            for kind, name, _, _, _, body in contents:
                if kind == 1:
                    self.texts.put((session.about["sender"][:33], body[0]))
                    told.append(name)
                elif kind == 3:
                    for known in body[1]:
                        self.receipts.put(known)
                elif kind == 6:
                    session.about["mailbox"] = body[0]
        await self.inbox.ask(266, [[envelope[1:33], tombstone]])
        if told:
            await self.write(session, (3, token_bytes(16), 0, [1, told]))
