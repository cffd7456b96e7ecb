"""A client in under 300 lines, written from docs/protocol/{peer,client,e2ee}.md alone.

No line of tace is used. It keeps its state in memory, reads no texts in parts and shows contents as
they come: what people's clients must do besides (save first, retry, keep order) is left out.
"""

import hmac
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from hashlib import sha256
from itertools import count
from secrets import token_bytes
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgpack import packb, unpackb
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue

Key = ec.EllipticCurvePrivateKey
Chain = tuple[bytes, bytes, int]  # header key, chain key, count
P256, ECDSA = ec.SECP256R1(), ec.ECDSA(hashes.SHA256())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SUITE = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def check(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def H(label: str, *parts: bytes) -> bytes:
    return sha256(label.encode() + b"".join(parts)).digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt or None, info).derive(ikm)


def key_from(seed48: bytes) -> Key:
    return ec.derive_private_key(int.from_bytes(seed48) % (ORDER - 1) + 1, P256)


def point(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def load(data: bytes) -> ec.EllipticCurvePublicKey:
    check(len(data) == 33, "not a compressed point")
    return ec.EllipticCurvePublicKey.from_encoded_point(P256, data)


def dh(key: Key, *others: bytes) -> bytes:
    return b"".join(key.exchange(ec.ECDH(), load(other)) for other in others)


def signed(key: Key, label: str, data: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(label.encode() + data, ECDSA))
    return data + r.to_bytes(32) + s.to_bytes(32)


def verify(key: bytes, label: str, data: bytes) -> None:
    r, s = int.from_bytes(data[-64:-32]), int.from_bytes(data[-32:])
    load(key).verify(utils.encode_dss_signature(r, s), label.encode() + data[:-64], ECDSA)


def from_base32(text: str, label: str, size: int, spare: int) -> bytes:
    clean = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("ILO", "110"))
    check(len(clean) == size and set(clean) <= set(BASE32), "not a code")
    value = sum(BASE32.index(c) << 5 * i for i, c in enumerate(reversed(clean)))
    data = (value >> spare).to_bytes((size * 5 - spare) // 8)
    check(int.from_bytes(H(label, data)[:4]) >> (32 - spare) == value % (1 << spare), "checksum")
    return data


def read_link(text: str) -> bytes:
    code = "".join(text.rpartition("#")[2].split()).replace("-", "")
    check(code[:5].lower() == "tace1", "not a link")
    return from_base32(code[5:], "tace contact check 1", 58, 26)


def stamp(envelope_id: bytes, target: int) -> bytes:
    tails = (struct.pack(">BQ", target, nonce) for nonce in count())
    tried = ((int.from_bytes(H("tace stamp 1", envelope_id, tail)), tail) for tail in tails)
    return next(tail for value, tail in tried if value >> (256 - target) == 0)


def read_record(raw: bytes, kind: int, identity: bytes, device: bytes, now: float) -> Any:
    check(raw[:67] == bytes([1, kind]) + identity + device, "another record")
    verify(identity, "tace user record 1", raw)
    payload = unpackb(raw[81:-64])
    check(int.from_bytes(raw[75:79]) * 3600 > now and payload[0] == 1, "over, or too new")
    check(kind == 1 or H("tace device 1", payload[1]) == device, "not the device's key")
    return payload


def session_keys(agreed: bytes, handshake: bytes, responder: bytes) -> tuple[bytes, ...]:
    transcript = H("tace transcript 1", handshake, responder)
    keys = hkdf(agreed, b"", b"tace session keys 1" + transcript, 96)
    return transcript, keys[:32], keys[32:64], keys[64:]


def advance(chain: Chain) -> tuple[Chain, bytes]:
    one, two = (hmac.digest(chain[1], byte, "sha256") for byte in (b"\1", b"\2"))
    return (chain[0], two, chain[2] + 1), one


def body_cipher(message_key: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    out = hkdf(message_key, salt, b"tace ratchet message 1", 44)
    return AESGCM(out[:32]), out[32:]


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
        check(to - self.receiving[2] <= 1000, "too far ahead")
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
            check((used, number) in self.skipped, "key gone")
            message_key = self.skipped[used, number]
            new.skipped = {k: v for k, v in self.skipped.items() if k != (used, number)}
        cipher, nonce = body_cipher(message_key, message[:16])
        plaintext = cipher.decrypt(nonce, message[73:], ad + message[:73])
        if used == self.next_receiving:
            new.previous, new.own = self.sending[2], key_from(self.random(48))
            new.sending, new.next_sending = new.step(theirs, self.next_sending)
        vars(self).update(vars(new))
        return plaintext


class Wire(WebSocketClientProtocol):
    """A connection to a node. The challenge answers request 0; `arrived` takes what is pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[int, Deferred[list[Any]]] = {0: Deferred()}
        self.arrived: Callable[[bytes], Any] = bool

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

    def __init__(self, recovery: str, seed: bytes) -> None:
        code = from_base32(recovery, "tace recovery check 1", 30, 22)
        self.owner = key_from(hkdf(code, b"", b"tace identity seed 1", 48))
        keys = hkdf(seed, b"", b"tace device seed 1", 192)
        self.keys = [key_from(keys[i : i + 48]) for i in range(0, 192, 48)]
        self.prekey, self.kem = key_from(token_bytes(48)), MLKEM768PrivateKey.generate()
        self.identity, self.network, self.stamp_bits = point(self.owner), b"", 0
        self.sessions: list[Session] = []
        self.seen, self.counter = {b""}, 0
        self.texts: DeferredQueue[tuple[bytes, str]] = DeferredQueue()
        self.receipts: DeferredQueue[bytes] = DeferredQueue()

    @property
    def id(self) -> bytes:
        return H("tace device 1", point(self.keys[0]))

    def mailbox(self, kind: int) -> bytes:
        return H("tace mailbox 1", point(self.keys[kind + 1]))[:31] + bytes([kind])

    def records(self, now: int) -> Iterator[bytes]:
        parts = [*map(point, self.keys[:3]), 1, point(self.prekey), self.kem_point]
        lists = [1, [[self.id, now // 3600]]]
        for kind, device, fields in ((2, self.id, [1, *parts]), (1, bytes(32), lists)):
            payload = packb(fields)
            times = struct.pack(">QIH", now, now // 3600 + 720, len(payload))
            head = bytes([1, kind]) + self.identity + device + times
            yield signed(self.owner, "tace user record 1", head + payload)

    def start(self, identity: bytes, record: Any, now: int) -> Session:
        _, key, inbox, requests, number, prekey, kem_prekey = record[:7]
        shared, ciphertext = MLKEM768PublicKey.from_public_bytes(kem_prekey).encapsulate()
        EK, certificate = key_from(token_bytes(48)), self.identity + self.points[0] + self.points[1]
        certificate += struct.pack(">I", now // 3600 + 720)
        certificate = signed(self.owner, "tace device certificate 1", certificate)
        tail = point(EK) + struct.pack(">I", number) + ciphertext
        handshake = b"\0" + certificate + tail
        agreed = dh(self.keys[0], prekey) + dh(EK, key, prekey) + shared
        responder = identity + key + prekey + kem_prekey
        transcript, root, mine, theirs = session_keys(agreed, handshake, responder)
        own, mailbox = key_from(token_bytes(48)), mailbox_of(requests, 1)
        session = Session(root, own, mine, theirs, identity, inbox, mailbox, handshake)
        session.sending, session.next_sending = session.step(prekey, mine)
        return session
