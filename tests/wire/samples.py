"""One or more values of every declared message, with bytes that are easy to tell apart."""

from __future__ import annotations

from tace.wire import client, peer
from tace.wire.fields import (
    BlobName,
    LeaseField,
    MemberField,
    PlaceField,
    PutResult,
    TombstoneField,
    WaitingItem,
)
from tace.wire.message import Message
from tace.wire.objects import (
    CHUNK_BYTES,
    ENVELOPE_BYTES,
    STORED_BLOB_BYTES,
    TOMBSTONE_BYTES,
)


def pattern(start: int, length: int) -> bytes:
    """``length`` bytes that count up from ``start``."""
    return bytes((start + i) % 256 for i in range(length))


A = pattern(0x00, 32)
B = pattern(0x20, 32)
C = pattern(0x40, 32)
KEY = b"\x02" + pattern(0x60, 32)
SIGNATURE = pattern(0x80, 64)
SECRET = pattern(0xC0, 16)
ENVELOPE = pattern(0x01, ENVELOPE_BYTES)
TOMBSTONE = pattern(0x02, TOMBSTONE_BYTES)
REMOVAL = pattern(0x03, 135)
NODE_RECORD = pattern(0x04, 150)
USER_RECORD = pattern(0x05, 200)
CHUNK = pattern(0x06, CHUNK_BYTES)
STORED_BLOB = pattern(0x07, STORED_BLOB_BYTES)
HOURS = 497_000
MOST = 0x7FFF_FFFF_FFFF_FFFF
LEASE = LeaseField(KEY, 1, "https://node.example", A, 1_789_200_000, SIGNATURE)
RESULTS = (
    PutResult("stored"),
    PutResult("acked", SECRET),
)

PEER_SAMPLES: tuple[Message, ...] = (
    peer.Hello((1,), A, NODE_RECORD, 1_789_200_000_123, SIGNATURE, 18),
    peer.Hello((1, 2), A, NODE_RECORD, 0, SIGNATURE),
    peer.Refused("redirect", "nearer nodes are enclosed", 1500, (NODE_RECORD,)),
    peer.Refused("quota"),
    peer.Goodbye("protocol-error", "a frame shorter than its header"),
    peer.Done(),
    peer.Pong(),
    peer.Ping(),
    peer.Ring(3, True, A, False, PlaceField(B, 7), (PlaceField(A, 0), PlaceField(C, 1))),
    peer.Ring(0, False, b""),
    peer.GetRing(3, A),
    peer.GetRing(0),
    peer.Notify(1, 2),
    peer.Changed(3),
    peer.Records((NODE_RECORD,)),
    peer.GetRecords((A, B)),
    peer.Members((MemberField(A, 1_789_200_000, 5), MemberField(B, MOST, 0)), True),
    peer.GetMembers(A),
    peer.PutAnswer(RESULTS, (NODE_RECORD,)),
    peer.PutEnvelopes((ENVELOPE,), (NODE_RECORD,)),
    peer.PutEnvelopes((ENVELOPE,), (), C),
    peer.PutTombstones((TombstoneField(A, TOMBSTONE),), (REMOVAL,)),
    peer.PutTombstones((), (REMOVAL,), (NODE_RECORD,), C),
    peer.MailboxPage((WaitingItem(A, HOURS),), MOST, True, False),
    peer.Watch(LEASE, True),
    peer.ListMailbox(A, 300),
    peer.Unwatch((A, B)),
    peer.EnvelopeList((ENVELOPE,)),
    peer.FetchEnvelopes(A, (B, C)),
    peer.Arrived((peer.Arrival(A, B, HOURS), peer.Arrival(A, C, HOURS, ENVELOPE))),
    peer.PutRecord(USER_RECORD),
    peer.PutRecord(USER_RECORD, (), C),
    peer.RecordAnswer(USER_RECORD, True),
    peer.GetRecord(A),
    peer.ItemPage((peer.ItemField(A, B, 1), peer.ItemField(A, C, 3)), True),
    peer.ListItems(A, B, False, peer.ItemField(A, B, 2)),
    peer.ListItems(A, B, True),
    peer.Items((ENVELOPE,), (TombstoneField(A, TOMBSTONE),), (REMOVAL,), (USER_RECORD,)),
    peer.FetchItems((peer.ItemField(A, B, 1),)),
    peer.StoreBlob(STORED_BLOB, (NODE_RECORD,)),
    peer.StoreBlob(STORED_BLOB, (), C),
    # As short as no blob is: every length that may stand there is one field of the message.
    peer.BlobAnswer(STORED_BLOB[:64], True),
    peer.BlobAnswer(b""),
    peer.FetchBlob(A),
    peer.BlobPage((BlobName(A, HOURS), BlobName(B, HOURS + 1)), True),
    peer.ListBlobs(A, B, C),
    peer.ListBlobs(A, B),
    peer.RangeDifferences(
        HOURS,
        3,
        (
            peer.Finding(0, (peer.PartField(A[:2], A[:16]), peer.PartField(b"", B[:16]))),
            peer.Finding(2, (), (peer.ItemField(A, B, 1), peer.ItemField(A, C, 2)), A + C[:1]),
        ),
    ),
    peer.RangeDifferences(HOURS + 1, 0),
    peer.CompareRanges(
        HOURS,
        (
            peer.RangeField(b"", A, A[:16]),
            peer.RangeField(B, b"", b"", A[:8] + B[:8]),
        ),
    ),
    peer.Probed(2),
    peer.ProbeFor(A),
    peer.Accused((MemberField(A, 1_789_200_000, 5), MemberField(B, MOST, 0))),
    peer.Returned((MemberField(A, 1_789_200_000, 5), MemberField(B, MOST, 0))),
    peer.OfferAnswer((0, 2), (1,), (NODE_RECORD,)),
    peer.OfferAnswer(()),
    peer.Offer((peer.ItemField(A, B, 1), peer.ItemField(A, C, 2)), (BlobName(C, HOURS),)),
    peer.Offer((peer.ItemField(A, B, 3),)),
    peer.Successors(True, (NODE_RECORD, NODE_RECORD), 3),
    peer.Successors(False, (NODE_RECORD,)),
    peer.FindSuccessors(A, 16),
    peer.FindSuccessors(B),
)

CLIENT_SAMPLES: tuple[Message, ...] = (
    client.Challenge(
        A,
        1_789_200_000_123,
        B,
        C,
        ("https://node.example", "https://other.example:8443"),
        (1,),
        "tace/1.0.0",
        18,
        720,
        64,
    ),
    client.ClientRefused("rate-limited", "too many sends", 2000),
    client.ClientPong(1_789_200_000_123),
    client.ClientPing(),
    client.ClientDone(),
    client.OpenLease(LEASE),
    client.StartWatch((A, B), 32),
    client.Push(ENVELOPE),
    client.CaughtUp(A, False),
    client.AckAnswer(RESULTS),
    client.Ack((TombstoneField(A, TOMBSTONE),), (REMOVAL,)),
    client.Defer((A, B)),
    client.SendAnswer(
        (
            client.SendResult("stored", 5, 8),
            client.SendResult("acked", 0, 0, SECRET),
            client.SendResult("stamp-required", 0, 0, b"", 0, "bits: 18"),
        )
    ),
    client.Send((ENVELOPE,)),
    client.ClientRecord(USER_RECORD),
    client.FindRecord(A),
    client.RecordPublished("stored", 5, 8),
    client.PublishRecord(USER_RECORD),
    client.NetworkInfo((NODE_RECORD,), 1000, "member"),
    client.GetNetwork(),
    client.StatusInfo(
        A,
        B,
        "tace/1.0.0",
        (client.PositionStatus(A, b"", (B, C)),),
        1000,
        12,
        345_678,
        "alone",
        ("seed a.example:6512: nobody there",),
        40,
        HOURS * 3600,
    ),
    client.GetStatus(),
    client.BlobStored("stored", 5, 8),
    client.PutBlob(CHUNK, HOURS, 18, 0x0123_4567_89AB),
    client.BlobFound(CHUNK[:64]),
    client.BlobFound(b""),
    client.GetBlob(A),
)
