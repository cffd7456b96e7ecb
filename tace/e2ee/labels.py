"""Every domain label of the end-to-end protocol: for hashes, signatures and HKDF ``info``.

No label is a prefix of another one, here or in :class:`tace.ids.Label` (a test checks it).
"""

from __future__ import annotations


class E2eeLabel:
    """One purpose each; a label is never used again for something else."""

    IDENTITY_SEED = b"tace identity seed 1"
    EXPORT_KEY = b"tace export key 1"
    """What the keys of export files derive from, by the recovery code."""
    RECOVERY_CHECK = b"tace recovery check 1"
    DEVICE_SEED = b"tace device seed 1"
    DEVICE = b"tace device 1"
    CERTIFICATE = b"tace device certificate 1"
    SESSION_ID = b"tace session id 1"
    TRANSCRIPT = b"tace transcript 1"
    SESSION_KEYS = b"tace session keys 1"
    RATCHET_ROOT = b"tace ratchet root 1"
    RATCHET_MESSAGE = b"tace ratchet message 1"
    CONSUMED = b"tace consumed 1"
    ENVELOPE = b"tace envelope 1"
    SAFETY = b"tace safety number 1"
    LINK_CHECK = b"tace contact check 1"
    EXPORT_FILE = b"tace export file 1"
    FILE = b"tace file 1"
