"""``tace identity``: new, restore, show; nothing is asked where there is nobody to ask."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import main
from tace.e2ee.link import ContactLink
from tests.processes import environment


class Terminal:
    """A command with a pseudo-terminal as its standard input and output."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.printed = ""
        # What is read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tace.cli.main", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(),
        )
        os.close(theirs)

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, and type."""
        while question not in self.printed:
            self.printed += self._decoder.decode(os.read(self._ours, 4096))
        os.write(self._ours, text.encode() + b"\n")

    def rest(self) -> str:
        """Everything that was printed, at the end."""
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self._ours, 4096):
                self.printed += self._decoder.decode(data)
        os.close(self._ours)
        self.process.wait()
        return self.printed


class Homes(SynchronousTestCase):
    """No node is needed for any of this."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()) / "home"

    def tace(self, *arguments: str, given: str = "", **environ: str) -> Result:
        where = ["--home", str(self.home)]
        environment = {"TACE_PASSPHRASE": "", "TACE_RECOVERY_CODE": "", **environ}
        return CliRunner().invoke(
            main,
            ["identity", arguments[0], *where, *arguments[1:]],
            input=given,
            env=environment,
        )


class Identities(Homes):
    """Made, shown, restored."""

    def test_new_and_show(self) -> None:
        """The key and the link are shown again; the recovery code only once."""
        made = self.tace("new", "--name", "Alice", "--json")
        self.assertEqual(made.exit_code, 0, made.output)
        first = json.loads(made.stdout)
        self.assertEqual(set(first), {"public_key", "link", "name", "recovery_code"})
        shown = json.loads(self.tace("show", "--json").stdout)
        code = first.pop("recovery_code")
        self.assertEqual(shown, first)
        self.assertEqual(shown["name"], "Alice")
        self.assertEqual(len(shown["public_key"]), 44)
        for file in self.home.iterdir():
            self.assertNotIn(code.encode(), file.read_bytes())

    def test_for_people(self) -> None:
        """The code stands out, with what to do about it."""
        printed = self.tace("new", "--name", "Alice").stdout
        self.assertRegex(printed, r"recovery code +([0-9A-Z]{5}-){5}[0-9A-Z]{5}\n")
        self.assertIn("Write the recovery code down", printed)
        self.assertIn("name           Alice", self.tace("show").stdout)

    def test_only_the_owner_reads_it(self) -> None:
        """The directory is 0700, the files 0600."""
        self.tace("new")
        self.assertEqual(stat.S_IMODE(self.home.stat().st_mode), 0o700)
        for file in self.home.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_never_over_another(self) -> None:
        """A home that holds an identity keeps it: exit status 1."""
        self.tace("new")
        before = self.tace("show").stdout
        again = self.tace("new")
        self.assertEqual(again.exit_code, 1)
        self.assertIn("already", again.stderr)
        self.assertEqual(self.tace("show").stdout, before)

    def test_no_home(self) -> None:
        """Showing what is not there fails, and says how to make it."""
        shown = self.tace("show")
        self.assertEqual(shown.exit_code, 1)
        self.assertIn("tace identity new", shown.stderr)
        self.assertFalse(self.home.exists())

    def test_restore(self) -> None:
        """The code gives the same identity, from standard input, an argument or the environment."""
        made = json.loads(self.tace("new", "--json").stdout)
        code = made["recovery_code"]
        ways: tuple[tuple[tuple[str, ...], str, dict[str, str]], ...] = (
            ((), code + "\n", {}),
            ((code.lower().replace("-", " "),), "", {}),
            (("-",), code, {"TACE_RECOVERY_CODE": "wrong"}),
            ((), "", {"TACE_RECOVERY_CODE": code}),
        )
        for number, (arguments, given, environ) in enumerate(ways):
            self.home = self.home.parent / f"restored-{number}"
            result = self.tace("restore", *arguments, "--json", given=given, **environ)
            self.assertEqual(result.exit_code, 0, result.output)
            self.assertEqual(json.loads(result.stdout)["public_key"], made["public_key"])

    def test_a_wrong_code(self) -> None:
        """A typing error is named, and nothing is made."""
        for code, reason in (
            ("", "missing"),
            ("00000-00000-00000-00000-00000-00001", "wrong"),
            ("U", "never part of it"),
        ):
            result = self.tace("restore", given=code + "\n")
            self.assertEqual(result.exit_code, 2)
            self.assertIn(reason, " ".join(result.stderr.split()))
        self.assertFalse(self.home.exists())

    def test_a_link_with_a_page(self) -> None:
        """With a node the link opens its page, and names the same identity."""
        made = json.loads(self.tace("new", "--json").stdout)
        shown = json.loads(self.tace("show", "--json", "--node", "https://n.example").stdout)
        self.assertTrue(shown["link"].startswith("https://n.example/#tace1"))
        self.assertEqual(
            ContactLink.parse(shown["link"]).identity, ContactLink.parse(made["link"]).identity
        )

    def test_a_passphrase(self) -> None:
        """A sealed home opens with its passphrase only, and holds nothing in the clear."""
        made = self.tace("new", "--json", TACE_PASSPHRASE="correct horse")
        public_key = json.loads(made.stdout)["public_key"]
        for passphrase, reason in (("", "set TACE_PASSPHRASE"), ("wrong", "wrong passphrase")):
            refused = self.tace("show", TACE_PASSPHRASE=passphrase)
            self.assertEqual(refused.exit_code, 1)
            self.assertIn(reason, refused.stderr)
        opened = self.tace("show", "--json", TACE_PASSPHRASE="correct horse")
        self.assertEqual(json.loads(opened.stdout)["public_key"], public_key)

    def test_no_terminal_to_ask_on(self) -> None:
        """A passphrase that is wanted and cannot be asked for is wrong usage."""
        result = self.tace("new", "--passphrase")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("no terminal", result.stderr)
        self.assertFalse(self.home.exists())

    def test_a_terminal_is_asked(self) -> None:
        """With somebody to ask, the passphrase is asked for twice and shown never."""
        made = Terminal("identity", "new", "--home", str(self.home), "--passphrase")
        made.answer("Passphrase: ", "correct horse")
        made.answer("Repeat for confirmation: ", "correct horse")
        self.assertRegex(made.rest(), "recovery code")
        shown = Terminal("identity", "show", "--home", str(self.home))
        shown.answer("Passphrase: ", "correct horse")
        self.assertIn("public key", shown.rest())
        self.assertNotIn("correct horse", made.printed + shown.printed)
        self.assertEqual((made.process.returncode, shown.process.returncode), (0, 0))

    def test_a_long_name(self) -> None:
        """A name has 64 characters at most; nothing is left behind by the attempt."""
        result = self.tace("new", "--name", "x" * 65)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("64", result.stderr)
        self.assertFalse(self.home.exists())


class Moving(Homes):
    """Export and import; what the file holds is tests/client/test_exporting.py's matter."""

    def setUp(self) -> None:
        super().setUp()
        self.made = json.loads(self.tace("new", "--name", "Alice", "--json").stdout)
        self.code = self.made["recovery_code"]
        self.file = self.home.parent / "alice.tace"
        self.home.parent.mkdir(parents=True, exist_ok=True)

    def test_there_and_back(self) -> None:
        """Sealed, private, and opened by the recovery code alone."""
        exported = self.tace("export", str(self.file))
        self.assertEqual(exported.exit_code, 0, exported.output)
        self.assertEqual(exported.stdout, "")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertNotIn(b"Alice", self.file.read_bytes())
        self.home = self.home.parent / "again"
        told = self.tace("import", "--json", str(self.file), given=self.code + "\n")
        self.assertEqual(told.exit_code, 0, told.output)
        found = json.loads(told.stdout)
        self.assertRegex(found.pop("made"), r"^\d{4}-\d\d-\d\dT")
        self.assertEqual((found.pop("contacts"), found.pop("messages")), (0, 0))
        self.assertEqual(found, {n: v for n, v in self.made.items() if n != "recovery_code"})
        self.assertNotIn(self.code, told.output)

    def test_never_over_another(self) -> None:
        """Neither a file nor a home."""
        self.tace("export", str(self.file))
        before = self.file.read_bytes()
        self.assertEqual(self.tace("export", str(self.file)).exit_code, 1)
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual(self.tace("export", "--force", str(self.file)).exit_code, 0)
        result = self.tace("import", str(self.file), TACE_RECOVERY_CODE=self.code)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("already", result.stderr)

    def test_what_does_not_open(self) -> None:
        """One line, and no home."""
        self.tace("export", str(self.file))
        self.home = self.home.parent / "again"
        other = json.loads(self.tace("new", "--json").stdout)["recovery_code"]
        self.home = self.home.parent / "third"
        damaged = self.home.parent / "damaged"
        damaged.write_bytes(b"something else")
        for file, code, status in (
            (self.file, other, 1),
            (self.file, "00000", 2),
            (damaged, self.code, 1),
            (self.home.parent / "nothing", self.code, 2),
        ):
            result = self.tace("import", str(file), TACE_RECOVERY_CODE=code)
            self.assertEqual(result.exit_code, status, result.output)
            self.assertFalse(self.home.exists())

    def test_a_passphrase(self) -> None:
        """Seals the home that is made; the file is opened by the code as ever."""
        self.tace("export", str(self.file))
        self.home = self.home.parent / "again"
        sealed = {"TACE_RECOVERY_CODE": self.code, "TACE_PASSPHRASE": "correct horse"}
        self.assertEqual(self.tace("import", str(self.file), **sealed).exit_code, 0)
        self.assertEqual(self.tace("show").exit_code, 1)
        self.assertEqual(self.tace("show", TACE_PASSPHRASE="correct horse").exit_code, 0)

    def test_another_name(self) -> None:
        """One line of at most 64 characters."""
        self.assertEqual(self.tace("name", "Alicia").exit_code, 0)
        self.assertEqual(json.loads(self.tace("show", "--json").stdout)["name"], "Alicia")
        for name in ("x" * 65, "a\nb"):
            self.assertEqual(self.tace("name", name).exit_code, 1)
        self.assertEqual(json.loads(self.tace("show", "--json").stdout)["name"], "Alicia")

    def test_the_link_as_a_qr_code(self) -> None:
        """On request."""
        self.assertIn("█", self.tace("show", "--qr").stdout)
        self.assertNotIn("█", self.tace("show").stdout)
