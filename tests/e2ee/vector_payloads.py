"""Payloads of records, changed: what a reader takes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tace.identity.user_record import UserRecord
from tests.e2ee.vector_sources import Actor, Json

Change = tuple[int, int, bytes]
"""Where in the payload, how many bytes go, and what stands in their place."""

# Where the fields of a device's payload begin: ``97 01`` and, of each key, ``c4 21`` before it.
_VERSION, _DEVICE_KEY, _INBOX, _REQUESTS = 1, 4, 39, 74
_PREKEY_ID, _PREKEY, _KEM, _END = 107, 110, 146, 1330
_POINT_BYTES = 33


def changed(payload: bytes, changes: list[Change]) -> bytes:
    """The payload with every change at its place in the original."""
    for at, count, new in sorted(changes, reverse=True):
        payload = payload[:at] + new + payload[at + count :]
    return payload


def device_payloads(ann: Actor) -> list[Json]:
    """Changes of the payload of Ann's device record; her device id stays where it is."""
    keys, other = ann.keys, ann.keys.contacts.public

    def key(at: int, point: bytes) -> Change:
        return (at, _POINT_BYTES, point)

    cases: list[tuple[str, bool, list[Change]]] = [
        ("as it was signed", True, []),
        ("a field of a newer version", True, [(0, 1, b"\x98"), (_END, 0, b"\x81\xa1a\x01")]),
        ("a byte behind the array", False, [(_END, 0, b"\0")]),
        ("a field too few", False, [(0, 1, b"\x96"), (_KEM - 3, _END - _KEM + 3, b"")]),
        ("another version", False, [(_VERSION, 1, b"\x02")]),
        ("the version in 32 bits", True, [(_VERSION, 1, b"\xce\0\0\0\x01")]),
        ("the version as a float", False, [(_VERSION, 1, b"\xca\x3f\x80\0\0")]),
        ("prekey id 0", False, [(_PREKEY_ID, 1, b"\0")]),
        ("the highest prekey id", True, [(_PREKEY_ID, 1, b"\xce\xff\xff\xff\xff")]),
        ("a prekey id of 2^32", False, [(_PREKEY_ID, 1, b"\xcf\0\0\0\x01\0\0\0\0")]),
        ("a prekey id that is true", False, [(_PREKEY_ID, 1, b"\xc3")]),
        ("another device key", False, [key(_DEVICE_KEY, other)]),
        ("another inbox key", True, [key(_INBOX, other)]),
        ("an inbox key as a str", False, [(_INBOX - 2, 1, b"\xd9"), key(_INBOX, b"x" * 33)]),
        ("an inbox key of 32 bytes", False, [(_INBOX - 1, 2, b"\x20")]),
        ("an inbox key whose first byte is 4", False, [(_INBOX, 1, b"\x04")]),
        ("a requests key beyond the field", False, [key(_REQUESTS, b"\x02" + b"\xff" * 32)]),
        ("a requests key off the curve", False, [key(_REQUESTS, b"\x02" + bytes(31) + b"\x01")]),
        ("the inbox key as device key", False, [key(_INBOX, keys.agreement.public)]),
        ("the identity as requests key", False, [key(_REQUESTS, ann.identity.public)]),
        ("the requests key as prekey", False, [key(_PREKEY, keys.requests.public)]),
        ("an ML-KEM key with 3,329 for a number", False, [(_KEM, 3, b"\x01\x0d\0")]),
        ("an ML-KEM key with 3,328 for a number", True, [(_KEM, 3, b"\0\x0d\0")]),
        ("an ML-KEM key of a byte less", False, [(_KEM - 1, 2, b"\x9f")]),
    ]
    return [
        {
            "about": about,
            "changes": [[at, count, new.hex()] for at, count, new in changes],
            "taken": taken,
        }
        for about, taken, changes in cases
    ]


def list_payloads() -> list[Json]:
    """Payloads of device lists."""
    pack: Callable[[object], bytes] = msgspec.msgpack.encode

    def listed(*numbers: int) -> list[object]:
        return [[bytes([number]) * 32, number] for number in numbers]

    cases: list[tuple[str, bool, bytes]] = [
        ("nobody", True, pack([1, []])),
        ("eight", True, pack([1, listed(*range(8))])),
        ("nine", False, pack([1, listed(*range(9))])),
        ("one twice", False, pack([1, [*listed(1, 2), [b"\x01" * 32, 7]]])),
        ("another version", False, pack([2, []])),
        ("no list", False, pack([1])),
        ("fields of a newer version, in both arrays", True, pack([1, [[b"a" * 32, 1, 2]], None])),
        ("an id of 31 bytes", False, pack([1, [[b"a" * 31, 1]]])),
        ("an id as a str", False, pack([1, [["a" * 32, 1]]])),
        ("no hour", False, pack([1, [[b"a" * 32]]])),
        ("an hour of 2^32", False, pack([1, [[b"a" * 32, 1 << 32]]])),
        ("an hour before 1970", False, pack([1, [[b"a" * 32, -1]]])),
    ]
    return [
        {"about": about, "payload": payload.hex(), "taken": taken}
        for about, taken, payload in cases
    ]


def with_payload(record: UserRecord, payload: bytes) -> UserRecord:
    """A record as if it had been signed with another payload."""
    return UserRecord(
        record.kind,
        record.identity,
        record.device,
        record.sequence,
        record.expires_hours,
        payload,
        b"",
    )
