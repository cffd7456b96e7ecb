"""The sealed export file: everything a client gives out to be taken in elsewhere.

``"tace export 1\\n" || salt 16 || nonce 12 || AES-256-GCM(key, nonce, gzip(content))`` with all
that stands before as associated data. The key follows from the recovery code in two steps, so
that a client which forgets the code can keep the first: a key good for export files and nothing
else.
"""

from __future__ import annotations

import gzip
import zlib

from tace.e2ee.agreement import RandomBytes
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.recovery import RecoveryCode
from tace.e2ee.symmetric import KEY_BYTES, NONCE_BYTES, WrongKeyOrData, aead_open, aead_seal, hkdf
from tace.errors import TaceError

MAGIC = b"tace export 1\n"
SALT_BYTES = 16
_START = len(MAGIC) + SALT_BYTES + NONCE_BYTES
MAX_EXPORT_BYTES = 256 * 1024 * 1024
"""A file that unpacks to more is not unpacked: a few kilobytes can stand for any amount."""
_GZIP = 16 + zlib.MAX_WBITS


class BadExport(TaceError):
    """Not an export file, or made by a later version, or damaged."""

    code = "bad-export"


class WrongExportCode(TaceError):
    """It is an export file, and this code does not open it."""

    code = "bad-recovery-code"


def export_base(code: RecoveryCode) -> bytes:
    """The key that makes the keys of export files, 32 bytes."""
    return hkdf(code.secret, salt=b"", info=E2eeLabel.EXPORT_KEY, length=KEY_BYTES)


def seal_export(base: bytes, content: bytes, random_bytes: RandomBytes) -> bytes:
    """The file.

    :param base: from :func:`export_base`.
    :param random_bytes: gives 16 bytes for the salt, then 12 for the nonce.
    :raises ValueError: more than 256 MiB.
    """
    if len(content) > MAX_EXPORT_BYTES:
        raise ValueError("too much for one export file")
    salt = random_bytes(SALT_BYTES)
    nonce = random_bytes(NONCE_BYTES)
    head = MAGIC + salt + nonce
    # No time of day: the file says nothing but what is in it.
    packed = gzip.compress(content, mtime=0)
    return head + aead_seal(_file_key(base, salt), nonce, packed, head)


def open_export(base: bytes, file: bytes) -> bytes:
    """What is in it.

    :raises BadExport: it is no export file, or holds more than 256 MiB.
    :raises WrongExportCode: another code sealed it, or it is damaged.
    """
    head, sealed = file[:_START], file[_START:]
    if not file.startswith(MAGIC) or len(head) < _START:
        raise BadExport("this is not an export file of tace")
    salt = head[len(MAGIC) : len(MAGIC) + SALT_BYTES]
    nonce = head[-NONCE_BYTES:]
    try:
        packed = aead_open(_file_key(base, salt), nonce, sealed, head)
    except WrongKeyOrData:
        raise WrongExportCode("this code does not open the file, or the file is damaged") from None
    return _unpacked(packed, MAX_EXPORT_BYTES)


def _unpacked(packed: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        content = unpacking.decompress(packed, most + 1)
    except zlib.error:
        raise BadExport("what is in the file cannot be unpacked") from None
    if len(content) > most:
        raise BadExport("what is in the file is too large")
    if not unpacking.eof or unpacking.unused_data:
        raise BadExport("what is in the file cannot be unpacked")
    return content


def _file_key(base: bytes, salt: bytes) -> bytes:
    return hkdf(base, salt=salt, info=E2eeLabel.EXPORT_FILE, length=KEY_BYTES)
