"""The built files, as they are read from the package."""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.gateway.web_files import WebManifest, installed_files
from tests.gateway.dist import FILES, SCRIPT, manifest, write_dist


class ReadingTests(SynchronousTestCase):
    """What is found in a folder."""

    def setUp(self) -> None:
        self.folder = write_dist(Path(self.mktemp()))

    def test_everything_by_its_path(self) -> None:
        """Every file and the manifest, with their hashes; what is compressed stands with it."""
        files = installed_files(self.folder)
        self.assertEqual(set(files), {*FILES, "files.json"})
        for name, content in FILES.items():
            self.assertEqual(files[name].content, content)
            self.assertEqual(files[name].sha256, sha256(content).hexdigest())
            if files[name].compressed:
                self.assertEqual(gzip.decompress(files[name].compressed), content)
                self.assertLess(len(files[name].compressed), len(content))

    def test_what_is_compressed(self) -> None:
        """As the build did it; else here, where it pays; the same bytes each time."""
        files = installed_files(self.folder)
        beside = (self.folder / "assets/app-1f.js.gz").read_bytes()
        self.assertEqual(files["assets/app-1f.js"].compressed, beside)
        compressed = {name for name, file in files.items() if file.compressed}
        self.assertEqual(compressed, {"index.html", "assets/app-1f.js", "files.json"})
        self.assertEqual(files, installed_files(self.folder))

    def test_no_build(self) -> None:
        """No folder, or one without a page: nothing is served."""
        self.assertEqual(installed_files(self.folder / "none"), {})
        (self.folder / "index.html").unlink()
        self.assertEqual(installed_files(self.folder), {})

    def test_content_types(self) -> None:
        """From a table; what is not in it is run by no browser."""
        files = installed_files(self.folder)
        types = {name: file.content_type for name, file in files.items()}
        self.assertEqual(types["index.html"], "text/html; charset=utf-8")
        self.assertEqual(types["sw.js"], "text/javascript; charset=utf-8")
        self.assertEqual(types["manifest.webmanifest"], "application/manifest+json")
        self.assertEqual(types["assets/odd.bin"], "application/octet-stream")


class ManifestTests(SynchronousTestCase):
    """``files.json``."""

    def test_there_and_back(self) -> None:
        """What the build writes."""
        parsed = WebManifest.parse(manifest({"a.js": SCRIPT}, "2.0"))
        self.assertEqual(parsed, WebManifest("2.0", {"a.js": sha256(SCRIPT).hexdigest()}))

    def test_what_is_none(self) -> None:
        """One kind of error for all of it."""
        for content in (
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b'{"version": "1", "files": []}',
            b'{"version": 1, "files": {}}',
            b'{"version": "1", "files": {"a": 1}}',
            b"[" * 100_000,
        ):
            self.assertRaises(ValueError, WebManifest.parse, content)
