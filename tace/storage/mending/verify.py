"""Is a row still what was stored? Ids are hashes and records are signed, so each can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from tace.errors import Refusal
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.wire.objects import Envelope, Tombstone

Row = Mapping[str, Any]
"""Column name -> value."""


def is_sound(table: str, row: Row) -> bool:
    """Tables that prove nothing of themselves are believed."""
    check = _CHECKS.get(table)
    if check is None:
        return True
    try:
        return check(row)
    except (Refusal, TypeError, ValueError):
        return False


def _envelope(row: Row) -> bool:
    envelope = Envelope.parse(row["body"])
    found = (envelope.mailbox, envelope.id, envelope.expires_hours)
    return bool(found == (row["mailbox"], row["id"], row["expires"]))


def _tombstone(row: Row) -> bool:
    if row["secret"] is None:
        # Its proof is a removal, in a row of its own.
        return row["removal"] is not None
    tombstone = Tombstone(
        row["mailbox"], row["id"], row["expires"], row["secret"], row["blob_hash"]
    )
    return Tombstone.parse(row["mailbox"], tombstone.encoded) == tombstone


def _removal(row: Row) -> bool:
    return bool(sha256(Removal.parse(row["encoded"]).encoded).digest() == row["hash"])


def _record(row: Row) -> bool:
    if row["encoded"] is None:
        return len(row["key"]) == len(row["name"]) == sha256().digest_size
    record = UserRecord.parse(row["encoded"])
    found = (record.key, *record.order, record.expires_hours)
    return bool(found == (row["key"], row["sequence"], row["name"], row["expires"]))


def _blob(row: Row) -> bool:
    return bool(sha256(row["data"]).digest() == row["hash"])


_CHECKS: dict[str, Callable[[Row], bool]] = {
    "envelope": _envelope,
    "tombstone": _tombstone,
    "removal": _removal,
    "record": _record,
    "blob": _blob,
}
