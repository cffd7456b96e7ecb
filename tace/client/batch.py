"""What came of a batch of envelopes that were read."""

from __future__ import annotations

from dataclasses import dataclass, field

from tace.client.rows import HistoryMessage
from tace.wire.objects import Envelope, Tombstone


@dataclass(slots=True)
class Batch:
    """What came of a batch of envelopes.

    :ivar tombstones: acks for what was saved (or needs no saving).
    :ivar junk: what nobody can ack: to be removed with the mailbox key.
    :ivar deferred: what there is no room for now: it stays in the mailbox.
    :ivar messages: new in the history.
    :ivar placed: (person, device, counter) of what takes a place there and shows nothing.
    :ivar delivered: (person, message id) of ours that were confirmed.
    :ivar unreadable: who claims to have sent what could not be read.
    :ivar new_devices: a known person wrote from a device that their list, as it is known here,
        does not name. It is to be looked up before anything of it is shown.
    :ivar requests: strangers whose messages wait for the user's word.
    :ivar owes_receipts: something came that wants a receipt.
    :ivar seen_before: something was opened before, perhaps by another program of this home.
    :ivar send_again: somebody asked for what they could not read; it waits in the outbox.
    """

    tombstones: list[Tombstone] = field(default_factory=list)
    junk: list[Envelope] = field(default_factory=list)
    deferred: list[Envelope] = field(default_factory=list)
    messages: list[HistoryMessage] = field(default_factory=list)
    placed: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    delivered: list[tuple[bytes, bytes]] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    new_devices: bool = False
    owes_receipts: bool = False
    seen_before: bool = False
    send_again: bool = False
