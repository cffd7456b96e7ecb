"""What the mini client builds on: hashes, keys, signatures, codes, stamps and signed records.

Written from docs/protocol/{peer,e2ee}.md alone; no line of tace is used.
"""

import hmac
import struct
from hashlib import sha256, sha512
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgpack import unpackb  # type: ignore[import-untyped]

Chain = tuple[bytes, bytes, int]  # header key, chain key, count
Key = ec.EllipticCurvePrivateKey
P256, ECDSA = ec.SECP256R1(), ec.ECDSA(hashes.SHA256())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def H(label: str, *parts: bytes) -> bytes:
    return sha256(label.encode() + b"".join(parts)).digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt or None, info).derive(ikm)


def key_from(seed48: bytes) -> Key:
    return ec.derive_private_key(int.from_bytes(seed48) % (ORDER - 1) + 1, P256)


def point(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def load(data: bytes) -> ec.EllipticCurvePublicKey:
    assert len(data) == 33, "not a compressed point"
    return ec.EllipticCurvePublicKey.from_encoded_point(P256, data)


def dh(key: Key, *others: bytes) -> bytes:
    return b"".join(key.exchange(ec.ECDH(), load(other)) for other in others)


def signed(key: Key, label: str, data: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(label.encode() + data, ECDSA))
    return data + r.to_bytes(32) + s.to_bytes(32)


def verify(key: bytes, label: str, data: bytes) -> None:
    r, s = int.from_bytes(data[-64:-32]), int.from_bytes(data[-32:])
    load(key).verify(utils.encode_dss_signature(r, s), label.encode() + data[:-64], ECDSA)


def to_base32(data: bytes, label: str, size: int) -> str:
    spare = size * 5 - len(data) * 8
    value = int.from_bytes(data) << spare | int.from_bytes(H(label, data)[:4]) >> (32 - spare)
    return "".join(BASE32[value >> 5 * i & 31] for i in reversed(range(size)))


def from_base32(text: str, label: str, size: int, spare: int) -> bytes:
    clean = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("ILO", "110"))
    assert len(clean) == size and set(clean) <= set(BASE32), "not a code"
    value = sum(BASE32.index(c) << 5 * i for i, c in enumerate(reversed(clean)))
    data = (value >> spare).to_bytes((size * 5 - spare) // 8)
    assert int.from_bytes(H(label, data)[:4]) >> (32 - spare) == value % (1 << spare), "checksum"
    return data


def recovery_text(code: bytes) -> str:
    text = to_base32(code, "tace recovery check 1", 30)
    return "-".join(text[i : i + 5] for i in range(0, 30, 5))


def contact_code(identity: bytes) -> str:
    return "tace1" + to_base32(identity, "tace contact check 1", 58).lower()


def identity_from(recovery: str) -> Key:
    code = from_base32(recovery, "tace recovery check 1", 30, 22)
    return key_from(hkdf(code, b"", b"tace identity seed 1", 48))


def read_link(text: str) -> bytes:
    code = "".join(text.rpartition("#")[2].split()).replace("-", "")
    assert code[:5].lower() == "tace1", "not a link"
    return from_base32(code[5:], "tace contact check 1", 58, 26)


def safety_number(one: bytes, other: bytes) -> tuple[str, bytes]:
    prints = []
    for identity in (one, other):
        h = sha512(b"tace safety number 1" + identity).digest()
        for _ in range(5199):
            h = sha512(h + identity).digest()
        prints.append(h[:32])
    prints.sort()
    fives = [int.from_bytes(p[i : i + 5]) for p in prints for i in range(0, 30, 5)]
    digits = " ".join(f"{n % 100_000:05}" for n in fives)
    return digits, b"tace safety 1 " + b"".join(prints)


def stamp(envelope_id: bytes, target: int) -> bytes:
    tails = (struct.pack(">BQ", target, nonce) for nonce in count())
    tried = ((int.from_bytes(H("tace stamp 1", envelope_id, tail)), tail) for tail in tails)
    return next(tail for value, tail in tried if value >> (256 - target) == 0)


def read_record(raw: bytes, kind: int, identity: bytes, device: bytes, now: float) -> Any:
    assert raw[:67] == bytes([1, kind]) + identity + device, "another record"
    verify(identity, "tace user record 1", raw)
    payload = unpackb(raw[81:-64])
    assert int.from_bytes(raw[75:79]) * 3600 > now and payload[0] == 1, "over, or too new"
    assert kind == 1 or H("tace device 1", payload[1]) == device, "not the device's key"
    return payload


def advance(chain: Chain) -> tuple[Chain, bytes]:
    one, two = (hmac.digest(chain[1], byte, "sha256") for byte in (b"\1", b"\2"))
    return (chain[0], two, chain[2] + 1), one


def body_cipher(message_key: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    out = hkdf(message_key, salt, b"tace ratchet message 1", 44)
    return AESGCM(out[:32]), out[32:]
