"""Sealed export files."""

from __future__ import annotations

import gzip

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee import export
from tace.e2ee.export import BadExport, WrongExportCode, export_base, open_export, seal_export
from tace.e2ee.recovery import RecoveryCode
from tace.e2ee.symmetric import aead_seal, hkdf
from tests.e2ee.vector_sources import Feed

CODE = RecoveryCode(bytes(range(16)))


def _sealed(packed: bytes) -> bytes:
    """A file whose packed content is given, for what no honest writer makes."""
    base, salt, nonce = export_base(CODE), bytes(16), bytes(12)
    head = export.MAGIC + salt + nonce
    key = hkdf(base, salt=salt, info=b"tace export file 1", length=32)
    return head + aead_seal(key, nonce, packed, head)


class ExportTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What was sealed comes back, and the file says what it is."""
        for content in (b"", b"content", bytes(100_000)):
            file = seal_export(export_base(CODE), content, Feed("export"))
            self.assertTrue(file.startswith(b"tace export 1\n"))
            self.assertEqual(content, open_export(export_base(CODE), file))

    def test_changed(self) -> None:
        """Another code, and any byte changed: it does not open."""
        base = export_base(CODE)
        file = seal_export(base, b"content", Feed("export"))
        other = export_base(RecoveryCode(bytes(16)))
        self.assertRaises(WrongExportCode, open_export, other, file)
        for at in range(len(export.MAGIC), len(file)):
            changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
            self.assertRaises(WrongExportCode, open_export, base, changed)

    def test_no_export_file(self) -> None:
        """Something else, a later version, and one that was cut off."""
        file = seal_export(export_base(CODE), b"content", Feed("export"))
        for wrong in (b"", b"x" * 100, file.replace(b"export 1", b"export 2"), file[:41]):
            self.assertRaises(BadExport, open_export, export_base(CODE), wrong)

    def test_not_packed(self) -> None:
        """Sealed right, and packed wrong: no gzip, cut off, and more behind it."""
        packed = gzip.compress(b"content", mtime=0)
        self.assertEqual(b"content", open_export(export_base(CODE), _sealed(packed)))
        for wrong in (b"", b"no gzip", packed[:-1], packed + b"x"):
            self.assertRaises(BadExport, open_export, export_base(CODE), _sealed(wrong))

    def test_a_little_that_stands_for_much(self) -> None:
        """No more than the bound is ever unpacked."""
        self.patch(export, "MAX_EXPORT_BYTES", 1000)
        good, bomb = (gzip.compress(bytes(size), mtime=0) for size in (1000, 1001))
        self.assertEqual(bytes(1000), open_export(export_base(CODE), _sealed(good)))
        self.assertRaises(BadExport, open_export, export_base(CODE), _sealed(bomb))
        self.assertRaises(ValueError, seal_export, export_base(CODE), bytes(1001), Feed("export"))
