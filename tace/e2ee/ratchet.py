"""The Double Ratchet with header encryption: Signal's specification, section 4, on P-256.

A ratchet is an immutable value. :func:`encrypt` and :func:`decrypt` return the next one, and
``decrypt`` only after the tag has verified, so nothing a stranger sends can change a state.

Differences from the specification: 16 random bytes per message (the *salt*) enter the derivation
of its key and nonce, so a state that was rolled back never repeats a pair; and the first 12 of
them are the nonce of its encrypted header.
"""

from __future__ import annotations

from struct import Struct
from typing import Annotated

import msgspec

from tace.e2ee.agreement import SCALAR_BYTES, AgreementKey, RandomBytes
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.pqxdh import SessionKeys
from tace.e2ee.symmetric import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    WrongKeyOrData,
    aead_open,
    aead_seal,
    hkdf,
    mac,
)
from tace.errors import Malformed
from tace.identity.keys import PUBLIC_KEY_BYTES
from tace.wire.message import Bytes32, PublicKey, UInt32

MAX_SKIP = 1000
"""How far ahead of the last one a message of one chain may be."""
MAX_SKIPPED_KEYS = 1000
"""How many keys of messages that have not come are kept, over all chains; the oldest go first."""
MAX_COUNT = 0xFFFF_FFFF
SALT_BYTES = 16
_HEADER = Struct(f">{PUBLIC_KEY_BYTES}sII")
SEALED_HEADER_BYTES = _HEADER.size + TAG_BYTES
OVERHEAD_BYTES = SALT_BYTES + SEALED_HEADER_BYTES + TAG_BYTES
"""salt 16 | sealed header 57 | body | tag 16"""
STATE_VERSION = 1


class RatchetError(Exception):
    """This message cannot be opened; the state is what it was."""


class NoHeaderKey(RatchetError):
    """No header key of this ratchet opens the header: not for this session, or changed."""


class KeyGone(RatchetError):
    """The message's key was used already, or evicted: a replay, a sender that was rolled back to
    an older state, or one of more than 1,000 that came too late."""


class TooFarAhead(RatchetError):
    """More than 1,000 messages of a chain are missing before it."""


class Tampered(RatchetError):
    """The header is right, and the rest is not."""


class Chain(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One sending or receiving chain: its header key, its key, how many messages it has made."""

    header_key: Bytes32
    key: Bytes32
    count: UInt32

    def next(self) -> tuple[bytes, Chain]:
        """The next message key, and the chain after it (KDF_CK: HMAC with 0x01 and 0x02)."""
        following = Chain(self.header_key, mac(self.key, b"\x02"), self.count + 1)
        return mac(self.key, b"\x01"), following

    def __repr__(self) -> str:
        return f"<Chain at {self.count}>"


class SkippedKeys(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The keys of messages of one receiving chain that have not come, lowest number first."""

    header_key: Bytes32
    keys: tuple[tuple[UInt32, Bytes32], ...]

    def __repr__(self) -> str:
        return f"<SkippedKeys {len(self.keys)}>"


class Ratchet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One party's state in one session. Secret throughout.

    :ivar previous_count: how many messages the sending chain before the present one had.
    :ivar skipped: oldest chain first; at most 1,000 keys in all.
    """

    version: Annotated[int, msgspec.Meta(ge=STATE_VERSION, le=STATE_VERSION)]
    root: Bytes32
    own_scalar: Annotated[bytes, msgspec.Meta(min_length=SCALAR_BYTES, max_length=SCALAR_BYTES)]
    own_public: PublicKey
    previous_count: UInt32
    sending: Chain | None
    receiving: Chain | None
    next_sending_header: Bytes32
    next_receiving_header: Bytes32
    skipped: tuple[SkippedKeys, ...]

    def to_bytes(self) -> bytes:
        """For the device's own disk."""
        return _encoder.encode(self)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Ratchet:
        """:raises Malformed: not what :meth:`to_bytes` wrote."""
        try:
            return _decoder.decode(stored)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Malformed("not a stored ratchet") from None

    @property
    def skipped_count(self) -> int:
        return sum(len(chain.keys) for chain in self.skipped)

    def __repr__(self) -> str:
        return "<Ratchet>"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ratchet)


# -- derivations ---------------------------------------------------------------------------------


def step_root(root: bytes, shared: bytes) -> tuple[bytes, bytes, bytes]:
    """KDF_RK_HE: the next root key, a chain key, and the next header key of that direction."""
    keys = hkdf(shared, salt=root, info=E2eeLabel.RATCHET_ROOT, length=3 * KEY_BYTES)
    return keys[:32], keys[32:64], keys[64:]


def message_secrets(message_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """(key 32, nonce 12) of the one message that has this message key and this salt."""
    secrets = hkdf(
        message_key, salt=salt, info=E2eeLabel.RATCHET_MESSAGE, length=KEY_BYTES + NONCE_BYTES
    )
    return secrets[:KEY_BYTES], secrets[KEY_BYTES:]


# -- starting ------------------------------------------------------------------------------------


def start_as_initiator(keys: SessionKeys, prekey: bytes, random_bytes: RandomBytes) -> Ratchet:
    """:param prekey: the responder's EC prekey, its first ratchet key."""
    own = AgreementKey.generate(random_bytes)
    root, chain_key, next_header = step_root(keys.root, own.agree(prekey))
    return Ratchet(
        version=STATE_VERSION,
        root=root,
        own_scalar=own.scalar,
        own_public=own.public,
        previous_count=0,
        sending=Chain(keys.initiator_header, chain_key, 0),
        receiving=None,
        next_sending_header=next_header,
        next_receiving_header=keys.responder_header,
        skipped=(),
    )


def start_as_responder(keys: SessionKeys, prekey: AgreementKey) -> Ratchet:
    """It can send once it has received."""
    return Ratchet(
        version=STATE_VERSION,
        root=keys.root,
        own_scalar=prekey.scalar,
        own_public=prekey.public,
        previous_count=0,
        sending=None,
        receiving=None,
        next_sending_header=keys.responder_header,
        next_receiving_header=keys.initiator_header,
        skipped=(),
    )


# -- sending -------------------------------------------------------------------------------------


def encrypt(
    ratchet: Ratchet, plaintext: bytes, associated_data: bytes, random_bytes: RandomBytes
) -> tuple[Ratchet, bytes]:
    """The next state, and ``salt 16 | sealed header 57 | sealed body``.

    The next state must be on disk before the bytes leave.

    :raises ValueError: a responder that has received nothing, or 2**32 - 1 messages in one chain.
    """
    chain = ratchet.sending
    if chain is None:
        raise ValueError("a responder sends only after it has received")
    if chain.count == MAX_COUNT:
        raise ValueError("this chain is full; start a new session")
    salt = random_bytes(SALT_BYTES)
    header = _HEADER.pack(ratchet.own_public, ratchet.previous_count, chain.count)
    sealed_header = aead_seal(chain.header_key, salt[:NONCE_BYTES], header, b"")
    message_key, chain = chain.next()
    key, nonce = message_secrets(message_key, salt)
    prefix = salt + sealed_header
    body = aead_seal(key, nonce, plaintext, associated_data + prefix)
    return msgspec.structs.replace(ratchet, sending=chain), prefix + body


# -- receiving -----------------------------------------------------------------------------------


def decrypt(
    ratchet: Ratchet, message: bytes, associated_data: bytes, random_bytes: RandomBytes
) -> tuple[Ratchet, bytes]:
    """The next state, and the plaintext.

    :raises RatchetError: one of its kinds; there is no next state then.
    """
    if len(message) < OVERHEAD_BYTES:
        raise NoHeaderKey("too short for a message")
    salt, sealed_header = message[:SALT_BYTES], message[SALT_BYTES : OVERHEAD_BYTES - TAG_BYTES]
    body = message[OVERHEAD_BYTES - TAG_BYTES :]
    associated_data += salt + sealed_header

    def open_header(header_key: bytes) -> tuple[bytes, int, int] | None:
        try:
            header = aead_open(header_key, salt[:NONCE_BYTES], sealed_header, b"")
        except WrongKeyOrData:
            return None
        public, previous_count, number = _HEADER.unpack(header)
        return public, previous_count, number

    def open_body(message_key: bytes) -> bytes:
        key, nonce = message_secrets(message_key, salt)
        try:
            return aead_open(key, nonce, body, associated_data)
        except WrongKeyOrData:
            raise Tampered("the body does not verify") from None

    receiving = ratchet.receiving
    if receiving is not None and (header := open_header(receiving.header_key)):
        _, _, number = header
        if number < receiving.count:
            message_key, skipped = _take(ratchet.skipped, receiving.header_key, number)
            plaintext = open_body(message_key)
            return msgspec.structs.replace(ratchet, skipped=skipped), plaintext
        message_key, receiving, missed = _advance(receiving, number)
        plaintext = open_body(message_key)
        skipped = _keep(ratchet.skipped, missed)
        return msgspec.structs.replace(ratchet, receiving=receiving, skipped=skipped), plaintext

    if header := open_header(ratchet.next_receiving_header):
        public, previous_count, number = header
        skipped = ratchet.skipped
        if receiving is not None and previous_count > receiving.count:
            *_, missed = _advance(receiving, previous_count)
            skipped = _keep(skipped, missed)
        own = AgreementKey(ratchet.own_scalar)
        try:
            shared = own.agree(public)
        except ValueError:
            raise Tampered("the ratchet key is not a P-256 point") from None
        root, chain_key, next_receiving_header = step_root(ratchet.root, shared)
        started = Chain(ratchet.next_receiving_header, chain_key, 0)
        message_key, receiving, missed = _advance(started, number)
        plaintext = open_body(message_key)
        # Only now, with the tag verified, is randomness drawn and the sending half turned.
        fresh = AgreementKey.generate(random_bytes)
        root, chain_key, next_sending_header = step_root(root, fresh.agree(public))
        stepped = Ratchet(
            version=STATE_VERSION,
            root=root,
            own_scalar=fresh.scalar,
            own_public=fresh.public,
            previous_count=0 if ratchet.sending is None else ratchet.sending.count,
            sending=Chain(ratchet.next_sending_header, chain_key, 0),
            receiving=receiving,
            next_sending_header=next_sending_header,
            next_receiving_header=next_receiving_header,
            skipped=_keep(skipped, missed),
        )
        return stepped, plaintext

    for chain in reversed(ratchet.skipped):
        if header := open_header(chain.header_key):
            message_key, skipped = _take(ratchet.skipped, chain.header_key, header[2])
            plaintext = open_body(message_key)
            return msgspec.structs.replace(ratchet, skipped=skipped), plaintext
    raise NoHeaderKey("no header key opens it")


def _advance(chain: Chain, number: int) -> tuple[bytes, Chain, SkippedKeys]:
    """The key of message ``number``, the chain after it, and the keys that were passed over.

    :raises TooFarAhead: more than 1,000 are passed over, or the chain would be full.
    """
    if number - chain.count > MAX_SKIP or number == MAX_COUNT:
        raise TooFarAhead(f"{number - chain.count} messages are missing before it")
    passed: list[tuple[int, bytes]] = []
    while chain.count < number:
        at = chain.count
        message_key, chain = chain.next()
        passed.append((at, message_key))
    message_key, chain = chain.next()
    return message_key, chain, SkippedKeys(chain.header_key, tuple(passed))


def _take(
    skipped: tuple[SkippedKeys, ...], header_key: bytes, number: int
) -> tuple[bytes, tuple[SkippedKeys, ...]]:
    """The key kept for that message, and what is kept after it is used.

    :raises KeyGone: there is none.
    """
    for place, chain in enumerate(skipped):
        if chain.header_key != header_key:
            continue
        for at, (found, message_key) in enumerate(chain.keys):
            if found == number:
                left = chain.keys[:at] + chain.keys[at + 1 :]
                shorter = (SkippedKeys(header_key, left),) if left else ()
                return message_key, skipped[:place] + shorter + skipped[place + 1 :]
    raise KeyGone(f"the key of message {number} is used or evicted")


def _keep(skipped: tuple[SkippedKeys, ...], missed: SkippedKeys) -> tuple[SkippedKeys, ...]:
    """``skipped`` and the newly missed ones, without the oldest beyond 1,000."""
    if not missed.keys:
        return skipped
    if skipped and skipped[-1].header_key == missed.header_key:
        missed = SkippedKeys(missed.header_key, skipped[-1].keys + missed.keys)
        skipped = skipped[:-1]
    chains = [*skipped, missed]
    excess = sum(len(chain.keys) for chain in chains) - MAX_SKIPPED_KEYS
    while excess > 0:
        oldest = chains[0]
        if len(oldest.keys) > excess:
            chains[0] = SkippedKeys(oldest.header_key, oldest.keys[excess:])
            break
        excess -= len(oldest.keys)
        chains.pop(0)
    return tuple(chains)
