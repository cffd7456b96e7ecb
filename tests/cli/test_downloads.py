"""Files from one command line to the other."""

from __future__ import annotations

import json
import stat

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.downloads import safe_name
from tace.cli.main import main
from tests.cli.one_node import OneNode


class Sending(OneNode):
    """Against a real node."""

    async def test_there_and_back(self) -> None:
        """Saved under its name, for its owner alone, and never over another."""
        await self.received("bob")
        content = bytes(range(256)) * 400
        file = self.directory / "cat.png"
        file.write_bytes(content)
        sent = await self.tace(
            "send",
            "--node",
            self.url,
            "--json",
            "--file",
            str(file),
            self.links["bob"],
            home="alice",
        )
        self.assertEqual((sent.status, sent.errors), (0, ""))
        self.assertEqual(json.loads(sent.output)["state"], "stored")
        into = self.directory / "files"
        got = await self.tace("receive", "--json", "--files", str(into), home="bob")
        self.assertEqual(got.status, 0, got)
        told = json.loads(got.output)
        self.assertEqual(
            (told["kind"], told["file"], told["type"], told["bytes"]),
            ("file", "cat.png", "image/png", len(content)),
        )
        saved = into / "cat.png"
        self.assertEqual(saved.read_bytes(), content)
        self.assertEqual(stat.S_IMODE(saved.stat().st_mode), 0o600)
        saved.write_bytes(b"mine")
        again = await self.tace("history", "--files", str(into), "Alice", home="bob")
        self.assertEqual((again.status, again.errors), (0, f"saved {into / 'cat-1.png'}\n"))
        self.assertEqual((into / "cat-1.png").read_bytes(), content)
        self.assertEqual(saved.read_bytes(), b"mine")
        self.assertEqual(sorted(p.name for p in into.iterdir()), ["cat-1.png", "cat.png"])

    async def test_wrong_usage(self) -> None:
        """A text or a file, and one that is there."""
        home = ["send", "--home", str(self.directory / "alice")]
        for arguments in (
            [self.links["bob"]],
            ["--file", __file__, self.links["bob"], "text"],
            ["--file", str(self.directory / "nothing"), self.links["bob"]],
        ):
            result = CliRunner().invoke(main, [*home, *arguments])
            self.assertEqual(result.exit_code, 2, result.output)


class Names(SynchronousTestCase):
    def test_harmless(self) -> None:
        """Whatever a sender calls it, it is one plain name in the directory."""
        for name, safe in (
            ("cat.png", "cat.png"),
            ("../../etc/passwd", "etcpasswd"),
            ("/etc/passwd", "etcpasswd"),
            ("..", "file"),
            ("", "file"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("C:\\a.exe", "Ca.exe"),
            ("a\x1b[31mb\n\u202etxt.exe", "a[31mbtxt.exe"),
            ("  Grüße 🚲.txt ", "Grüße 🚲.txt"),
        ):
            self.assertEqual(safe_name(name), safe)
        long = safe_name("ü" * 255 + ".tar.gz")
        self.assertLessEqual(len(long.encode()), 180)
        self.assertTrue(long.endswith(".tar.gz"))
