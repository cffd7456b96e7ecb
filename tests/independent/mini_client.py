"""A client in under 300 lines, written from docs/protocol/{peer,client,e2ee}.md alone.

No line of tace is used. It keeps its state in memory, reads no texts in parts and shows contents as
they come: what people's clients must do besides (save first, retry, keep order) is left out.
"""

import hmac
import secrets
import struct
import time
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgpack
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.python import log

Key = ec.EllipticCurvePrivateKey
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DATA = {30: 16, 58: 33}  # characters of a recovery code and a contact code, and what they hold
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SUITE = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
ECDSA = ec.ECDSA(hashes.SHA256())


def check(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def H(label: str, *parts: bytes) -> bytes:
    return sha256(label.encode() + b"".join(parts)).digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt or None, info).derive(ikm)


def key_from(seed48: bytes) -> Key:
    return ec.derive_private_key(int.from_bytes(seed48) % (ORDER - 1) + 1, ec.SECP256R1())


def point(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def load(data: bytes) -> ec.EllipticCurvePublicKey:
    check(len(data) == 33, "not a compressed point")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)


def dh(key: Key, other: bytes) -> bytes:
    return key.exchange(ec.ECDH(), load(other))


def sign(key: Key, label: str, data: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(label.encode() + data, ECDSA))
    return r.to_bytes(32) + s.to_bytes(32)


def verify(key: bytes, label: str, signed: bytes) -> None:
    r, s = int.from_bytes(signed[-64:-32]), int.from_bytes(signed[-32:])
    load(key).verify(utils.encode_dss_signature(r, s), label.encode() + signed[:-64], ECDSA)


def to_base32(data: bytes, label: str, size: int) -> str:
    spare = size * 5 - len(data) * 8
    value = int.from_bytes(data) << spare | int.from_bytes(H(label, data)[:4]) >> (32 - spare)
    return "".join(BASE32[value >> 5 * i & 31] for i in reversed(range(size)))


def from_base32(text: str, label: str, size: int) -> bytes:
    clean = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("ILO", "110"))
    check(len(clean) == size and set(clean) <= set(BASE32), "not a code")
    value = sum(BASE32.index(c) << 5 * i for i, c in enumerate(reversed(clean)))
    data = (value >> (size * 5 - 8 * DATA[size])).to_bytes(DATA[size])
    check(to_base32(data, label, size) == clean, "checksum")
    return data


def identity_from(recovery: str) -> Key:
    code = from_base32(recovery, "tace recovery check 1", 30)
    return key_from(hkdf(code, b"", b"tace identity seed 1", 48))


def read_link(text: str) -> bytes:
    code = "".join(text.rpartition("#")[2].split()).replace("-", "")
    check(code[:5].lower() == "tace1", "not a link")
    return from_base32(code[5:], "tace contact check 1", 58)


def mailbox_of(key: bytes, kind: int) -> bytes:
    return H("tace mailbox 1", key)[:31] + bytes([kind])


def stamp(envelope_id: bytes, target: int) -> int:
    nonce, limit = 0, 1 << (256 - target)
    while int.from_bytes(H("tace stamp 1", envelope_id, struct.pack(">BQ", target, nonce))) >= limit:
        nonce += 1
    return nonce


def record_key(kind: int, identity: bytes, device: bytes) -> bytes:
    return H("tace record 1", bytes([kind]), identity, device)


def make_record(key: Key, kind: int, device: bytes, times: tuple[int, int], payload: bytes) -> bytes:
    head = bytes([1, kind]) + point(key) + device
    body = head + struct.pack(">QIH", *times, len(payload)) + payload
    return body + sign(key, "tace user record 1", body)


def read_record(raw: bytes, kind: int, identity: bytes, device: bytes, now: float) -> Any:
    check(raw[:67] == bytes([1, kind]) + identity + device, "another record")
    verify(identity, "tace user record 1", raw)
    payload = msgpack.unpackb(raw[81:-64])
    check(int.from_bytes(raw[75:79]) * 3600 > now and payload[0] == 1, "over, or too new")
    check(kind == 1 or H("tace device 1", payload[1]) == device, "not the device's key")
    return payload


def read_certificate(raw: bytes, now: float) -> tuple[bytes, bytes, bytes]:
    verify(raw[:33], "tace device certificate 1", raw)
    ahead = int.from_bytes(raw[99:103]) * 3600 - now
    check(-30 <= ahead / 86400 <= 31 and bool(load(raw[33:66]) and load(raw[66:99])), "certificate")
    return raw[:33], raw[33:66], raw[66:99]


class Ratchet:
    """Section 5 of e2ee.md. A chain is (header key, chain key, count)."""

    def __init__(self, root: bytes, own: Key, sending: bytes, receiving: bytes) -> None:
        self.root, self.own, self.previous = root, own, 0
        self.next_sending, self.next_receiving = sending, receiving
        self.sending = self.receiving = (b"", b"", 0)
        self.skipped: dict[tuple[bytes, int], bytes] = {}
        self.random: Callable[[int], bytes] = secrets.token_bytes

    def step(self, theirs: bytes, header_key: bytes) -> tuple[tuple[bytes, bytes, int], bytes]:
        out = hkdf(dh(self.own, theirs), self.root, b"tace ratchet root 1", 96)
        self.root = out[:32]
        return (header_key, out[32:64], 0), out[64:]

    def seal(self, plaintext: bytes, ad: bytes) -> bytes:
        self.sending, message_key = advance(self.sending)
        salt, count = self.random(16), self.sending[2] - 1
        header = point(self.own) + struct.pack(">II", self.previous, count)
        head = salt + AESGCM(self.sending[0]).encrypt(salt[:12], header, None)
        key, nonce = message_secrets(message_key, salt)
        return head + AESGCM(key).encrypt(nonce, plaintext, ad + head)

    def skip(self, to: int) -> None:
        check(to - self.receiving[2] <= 1000, "too far ahead")
        while self.receiving[2] < to:
            place = (self.receiving[0], self.receiving[2])
            self.receiving, self.skipped[place] = advance(self.receiving)
        for place in list(self.skipped)[:-1000]:
            del self.skipped[place]

    def open(self, message: bytes, ad: bytes) -> bytes:
        new = copy(self)
        new.skipped = dict(self.skipped)
        plaintext = new.open_in_place(message, ad)
        self.__dict__.update(new.__dict__)
        return plaintext

    def open_in_place(self, message: bytes, ad: bytes) -> bytes:
        former = [header_key for header_key, _ in reversed(self.skipped)]
        for header_key in filter(None, [self.receiving[0], self.next_receiving, *former]):
            with suppress(InvalidTag):
                header = AESGCM(header_key).decrypt(message[:12], message[16:73], None)
                break
        else:
            raise NoHeaderKey
        theirs, (previous, number) = header[:33], struct.unpack(">II", header[33:])
        stepped = header_key == self.next_receiving
        if stepped:
            self.skip(previous) if self.receiving[0] else None
            self.receiving, self.next_receiving = self.step(theirs, header_key)
        if header_key == self.receiving[0] and number >= self.receiving[2]:
            self.skip(number)
            self.receiving, message_key = advance(self.receiving)
        else:
            check((header_key, number) in self.skipped, "key gone")
            message_key = self.skipped.pop((header_key, number))
        key, nonce = message_secrets(message_key, message[:16])
        plaintext = AESGCM(key).decrypt(nonce, message[73:], ad + message[:73])
        if stepped:
            self.previous, self.own = self.sending[2], key_from(self.random(48))
            self.sending, self.next_sending = self.step(theirs, self.next_sending)
        return plaintext


class Session:
    """Section 4 of e2ee.md: what both sides derive from a handshake."""

    def __init__(self, handshake: bytes, agreed: bytes, responder: bytes) -> None:
        self.id, self.handshake = H("tace session id 1", handshake)[:16], b""
        self.transcript = H("tace transcript 1", handshake, responder)
        keys = hkdf(agreed, b"", b"tace session keys 1" + self.transcript, 96)
        self.root, self.initiator, self.responder = keys[:32], keys[32:64], keys[64:]
        self.ratchet: Ratchet


class Pair:
    """What is known of one device of somebody."""

    def __init__(self, identity: bytes, inbox: bytes, mailbox: bytes) -> None:
        self.identity, self.inbox, self.mailbox = identity, inbox, mailbox
        self.sessions: list[Session] = []
        self.tags: list[bytes] = []
        self.counter = 0


class Device:
    def __init__(self, recovery: str, seed: bytes, network_id: bytes) -> None:
        keys = hkdf(seed, b"", b"tace device seed 1", 192)
        self.keys = [key_from(keys[i : i + 48]) for i in range(0, 192, 48)]
        self.key, self.inbox_key, *mailbox_keys = self.keys
        self.mailboxes = {mailbox_of(point(k), i + 1): k for i, k in enumerate(mailbox_keys)}
        self.identity_key, self.network_id = identity_from(recovery), network_id
        self.identity, self.id = point(self.identity_key), H("tace device 1", point(self.key))
        self.prekeys = {1: (key_from(secrets.token_bytes(48)), MLKEM768PrivateKey.generate())}
        self.pairs: dict[bytes, Pair] = {}

    def certificate(self, expires: int) -> bytes:
        keys = self.identity + point(self.key) + point(self.inbox_key)
        body = keys + struct.pack(">I", expires)
        return body + sign(self.identity_key, "tace device certificate 1", body)

    def records(self, now: int) -> list[bytes]:
        (number, (prekey, kem)), times = max(self.prekeys.items()), (now, now // 3600 + MONTH)
        points, kem_public = [point(k) for k in self.keys[:3]], kem.public_key().public_bytes_raw()
        device = msgpack.packb([1, *points, number, point(prekey), kem_public])
        devices = msgpack.packb([1, [[self.id, now // 3600]]])
        return [
            make_record(self.identity_key, 2, self.id, times, device),
            make_record(self.identity_key, 1, bytes(32), times, devices),
        ]

    def start(self, pair: Pair, record: Any, certificate: bytes, ephemeral: Key, kem: Any) -> Session:
        _, key, _, _, number, prekey, kem_prekey = record[:7]
        shared, ciphertext = kem
        handshake = b"\0" + certificate + point(ephemeral) + struct.pack(">I", number) + ciphertext
        agreed = dh(self.key, prekey) + dh(ephemeral, key) + dh(ephemeral, prekey) + shared
        session = Session(handshake, agreed, pair.identity + key + prekey + kem_prekey)
        return session
