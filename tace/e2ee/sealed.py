"""The seal: HPKE base mode (RFC 9180) to the recipient's inbox key, bound to the envelope.

DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one shot, no associated data;
info = "tace envelope 1" || network id 32 || mailbox 32 || expires u32 (hours) || lock 32. So an
envelope that is re-dated, re-addressed or moved to another network does not open. Sealed is
``secret 16 | inner message 3455``; the blob is ``enc 65 | ciphertext 3471 | tag 16`` = 3,552 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from tace.e2ee.agreement import AgreementKey, RandomBytes
from tace.e2ee.inner import INNER_BYTES, Inner
from tace.e2ee.labels import E2eeLabel
from tace.errors import Malformed, TaceError
from tace.identity.keys import parse_public_key
from tace.ids import ID_BYTES, MailboxId
from tace.wire.objects import SECRET_BYTES, Envelope, lock_of

_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Junk(TaceError):
    """The envelope does not unseal: not sealed to this key, changed, or not what it says.

    Nobody can ack it; the owner removes it with a signature of the mailbox key.
    """

    code = "junk"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What was in an envelope.

    :ivar secret: opens the lock: the ack.
    """

    secret: bytes = field(repr=False)
    inner: Inner


def hpke_seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """``enc 65 | ciphertext | tag 16``. The library draws the ephemeral key.

    :raises ValueError: not a compressed point on the curve.
    """
    return _SUITE.encrypt(plaintext, parse_public_key(public), info)


def hpke_open(key: AgreementKey, info: bytes, sealed: bytes) -> bytes:
    """:raises Junk: not sealed to this key with this info, or changed."""
    try:
        return _SUITE.decrypt(sealed, key.key, info)
    except InvalidTag:
        raise Junk("the seal does not open") from None


def envelope_info(network_id: bytes, mailbox: MailboxId, expires_hours: int, lock: bytes) -> bytes:
    """What the seal is bound to."""
    if len(network_id) != ID_BYTES:
        raise ValueError(f"a network id has {ID_BYTES} bytes, not {len(network_id)}")
    return E2eeLabel.ENVELOPE + network_id + mailbox + expires_hours.to_bytes(4) + lock


def seal(
    inner: bytes,
    *,
    inbox_key: bytes,
    network_id: bytes,
    mailbox: MailboxId,
    expires_hours: int,
    random_bytes: RandomBytes,
) -> Envelope:
    """An envelope without a stamp, its blob full to the last byte.

    :param inner: 3,455 bytes, from :func:`tace.e2ee.session.send`.
    """
    if len(inner) != INNER_BYTES:
        raise ValueError(f"an inner message has {INNER_BYTES} bytes, not {len(inner)}")
    secret = random_bytes(SECRET_BYTES)
    lock = lock_of(secret)
    info = envelope_info(network_id, mailbox, expires_hours, lock)
    blob = hpke_seal(inbox_key, info, secret + inner)
    return Envelope.make(mailbox=mailbox, expires_hours=expires_hours, lock=lock, blob=blob)


def unseal(envelope: Envelope, *, inbox: AgreementKey, network_id: bytes) -> Unsealed:
    """:raises Junk: it does not open, does not hold its lock's secret, or is of no known type."""
    info = envelope_info(network_id, envelope.mailbox, envelope.expires_hours, envelope.lock)
    content = hpke_open(inbox, info, envelope.blob)
    secret = content[:SECRET_BYTES]
    if lock_of(secret) != envelope.lock:
        raise Junk("the secret inside does not open the lock")
    try:
        return Unsealed(secret, Inner.parse(content[SECRET_BYTES:]))
    except Malformed as error:
        raise Junk(error.detail) from None
