"""The session start: PQXDH over P-256 and ML-KEM-768, with every public value in the transcript.

After Signal's PQXDH specification (revision 3), without one-time prekeys (replicas cannot hand
one out exactly once) and without XEdDSA (the identity is an ECDSA key that signs; what agrees is
the device key DK, tied to it by the certificate on one side and by the record on the other).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

from tace.e2ee.agreement import AgreementKey, RandomBytes
from tace.e2ee.device import CERTIFICATE_BYTES, Certificate, DeviceKeys
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.prekeys import KEM_CIPHERTEXT_BYTES, Prekey
from tace.e2ee.records import DeviceRecord
from tace.e2ee.symmetric import KEY_BYTES, hkdf
from tace.errors import Expired, Malformed
from tace.identity.keys import PUBLIC_KEY_BYTES, parse_public_key
from tace.ids import digest
from tace.wire.objects import SECONDS_PER_HOUR

SESSION_ID_BYTES = 16
FRESH = 1
"""Flag: the initiator cannot read the sessions there were; write in this one from now on."""
_HANDSHAKE = Struct(f">B{CERTIFICATE_BYTES}s{PUBLIC_KEY_BYTES}sI{KEM_CIPHERTEXT_BYTES}s")
HANDSHAKE_BYTES = _HANDSHAKE.size

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""ML-KEM-768: public key -> (shared secret 32, ciphertext 1088)."""


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """The library's encapsulation, which draws on the operating system's randomness."""
    return MLKEM768PublicKey.from_public_bytes(public).encapsulate()


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """This device as a party to sessions: its keys, and the certificate that is current."""

    keys: DeviceKeys
    certificate: Certificate

    @property
    def identity(self) -> bytes:
        return self.certificate.identity

    @property
    def id(self) -> bytes:
        return self.keys.id


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the initiator sends so that the responder reaches the same keys.

    ``flags u8 | certificate 167 | ephemeral key 33 | prekey id u32 | ML-KEM ciphertext 1088``:
    1,293 bytes. Flag bit 0: fresh; the others are zero.
    """

    fresh: bool
    certificate: Certificate
    ephemeral: bytes
    prekey_id: int
    kem_ciphertext: bytes = field(repr=False)
    encoded: bytes = field(repr=False)

    @classmethod
    def make(
        cls,
        certificate: Certificate,
        ephemeral: bytes,
        prekey_id: int,
        kem_ciphertext: bytes,
        *,
        fresh: bool,
    ) -> Handshake:
        flags = FRESH if fresh else 0
        encoded = _HANDSHAKE.pack(flags, certificate.encoded, ephemeral, prekey_id, kem_ciphertext)
        return cls(fresh, certificate, ephemeral, prekey_id, kem_ciphertext, encoded)

    @classmethod
    def parse(cls, encoded: bytes) -> Handshake:
        """:raises Malformed: wrong length, flags or points, or a certificate that is not signed."""
        if len(encoded) != HANDSHAKE_BYTES:
            raise Malformed(f"a handshake has {HANDSHAKE_BYTES} bytes, not {len(encoded)}")
        flags, certificate, ephemeral, prekey_id, kem_ciphertext = _HANDSHAKE.unpack(encoded)
        if flags & ~FRESH:
            raise Malformed(f"handshake flags {flags} are not known here")
        try:
            parse_public_key(ephemeral)
        except ValueError:
            raise Malformed("the ephemeral key is not a P-256 point") from None
        return cls(
            flags == FRESH,
            Certificate.parse(certificate),
            ephemeral,
            prekey_id,
            kem_ciphertext,
            encoded,
        )


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What both sides hold after the start."""

    transcript: bytes
    """H of all public values; also the associated data of every message of the session."""
    root: bytes = field(repr=False)
    initiator_header: bytes = field(repr=False)
    """Encrypts the headers of the initiator's first chain."""
    responder_header: bytes = field(repr=False)
    """Encrypts the headers of the responder's first chain."""


def session_id(handshake: bytes) -> bytes:
    """H("tace session id 1" || handshake 1293)[:16]: known before anything is verified."""
    return digest(E2eeLabel.SESSION_ID, handshake)[:SESSION_ID_BYTES]


def transcript_of(
    handshake: bytes, identity: bytes, device_key: bytes, prekey: bytes, kem_prekey: bytes
) -> bytes:
    """H("tace transcript 1" || handshake 1293 || the responder's identity 33, device key 33,
    EC prekey 33 and ML-KEM prekey 1184)."""
    return digest(E2eeLabel.TRANSCRIPT, handshake, identity, device_key, prekey, kem_prekey)


def derive(
    agreements: tuple[bytes, bytes, bytes], kem_shared: bytes, transcript: bytes
) -> SessionKeys:
    """HKDF over DH1 || DH2 || DH3 || ML-KEM secret: root 32, two header keys 32 each.

    :param agreements: DH(DK initiator, prekey), DH(ephemeral, DK responder), DH(ephemeral, prekey).
    """
    keys = hkdf(
        b"".join(agreements) + kem_shared,
        salt=b"",
        info=E2eeLabel.SESSION_KEYS + transcript,
        length=3 * KEY_BYTES,
    )
    return SessionKeys(transcript, keys[:32], keys[32:64], keys[64:])


def initiate(
    own: OwnDevice,
    peer: DeviceRecord,
    random_bytes: RandomBytes,
    *,
    now: float,
    fresh: bool = False,
    encapsulate: Encapsulate = encapsulate,
) -> tuple[Handshake, SessionKeys]:
    """Start towards a device whose record was verified.

    :raises Expired: the record, or the own certificate, is over.
    """
    if peer.record.expires_hours * SECONDS_PER_HOUR <= now:
        raise Expired("the record of the other device is over")
    if own.certificate.expires_hours * SECONDS_PER_HOUR <= now:
        raise Expired("the own certificate is over")
    ephemeral = AgreementKey.generate(random_bytes)
    kem_shared, kem_ciphertext = encapsulate(peer.kem_prekey)
    handshake = Handshake.make(
        own.certificate, ephemeral.public, peer.prekey_id, kem_ciphertext, fresh=fresh
    )
    agreements = (
        own.keys.agreement.agree(peer.prekey),
        ephemeral.agree(peer.device_key),
        ephemeral.agree(peer.prekey),
    )
    transcript = transcript_of(
        handshake.encoded, peer.identity, peer.device_key, peer.prekey, peer.kem_prekey
    )
    return handshake, derive(agreements, kem_shared, transcript)


def respond(handshake: Handshake, own: OwnDevice, prekey: Prekey, *, now: float) -> SessionKeys:
    """Reach the initiator's keys with the private halves of the prekey it names.

    Whoever made the handshake is proved only when a message under these keys opens.

    :raises Expired: the certificate is over, or claims to live too long.
    """
    if not handshake.certificate.holds(now):
        raise Expired("the certificate in the handshake does not hold")
    agreements = (
        prekey.agreement.agree(handshake.certificate.device_key),
        own.keys.agreement.agree(handshake.ephemeral),
        prekey.agreement.agree(handshake.ephemeral),
    )
    kem_shared = prekey.kem.decapsulate(handshake.kem_ciphertext)
    transcript = transcript_of(
        handshake.encoded,
        own.identity,
        own.keys.agreement.public,
        prekey.agreement.public,
        prekey.kem_public,
    )
    return derive(agreements, kem_shared, transcript)
