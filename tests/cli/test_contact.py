"""``tace contact``: no node is needed for any of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import main
from tace.client.home import Home
from tace.client.rows import MessageState, Peer, Standing
from tace.e2ee.safety import SafetyNumber
from tace.identity.keys import SigningKey
from tests.cli.test_identity import Terminal


class Contacts(SynchronousTestCase):
    """Alice's home, and Bob's link."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.home = self.directory / "alice"
        self.own = self.identity(self.home)
        self.bob = self.identity(self.directory / "bob")

    def identity(self, home: Path) -> dict[str, str]:
        made = CliRunner().invoke(main, ["identity", "new", "--home", str(home), "--json"])
        told: dict[str, str] = json.loads(made.stdout)
        return told

    def tace(self, command: str, *arguments: str, given: str = "") -> Result:
        where = ["--home", str(self.home)]
        return CliRunner().invoke(main, ["contact", command, *where, *arguments], input=given)

    def done(self, command: str, *arguments: str, given: str = "") -> str:
        result = self.tace(command, *arguments, given=given)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.stdout

    def listed(self, command: str = "list") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.done(command, "--json").splitlines()]

    def opened(self) -> Home:
        home = Home.open(self.home, ask_passphrase=lambda: "", random_bytes=bytes)
        self.addCleanup(home.close)
        return home

    def stranger(self, name: str, messages: int) -> str:
        """Somebody who wrote; their key."""
        identity = SigningKey.from_seed(bytes([7]) * 48).public
        database = self.opened().database
        database.set_peer(Peer(identity, name, standing=Standing.REQUEST))
        for number in range(messages):
            database.add_message(
                peer=identity,
                message_id=bytes([number]) * 16,
                outgoing=False,
                state=MessageState.RECEIVED,
                counter=number + 1,
                sent_ms=0,
                received_ms=0,
                text="never printed before it is accepted",
            )
        return identity.hex()


class Adding(Contacts):
    def test_add_and_list(self) -> None:
        """By link; the fields that programs read."""
        told = json.loads(self.done("add", self.bob["link"], "--name", "Bob", "--json"))
        self.assertEqual(
            told,
            {
                "public_key": self.bob["public_key"],
                "link": self.bob["link"],
                "name": "Bob",
                "own_name": "",
                "standing": "contact",
                "verified": False,
                "unlisted_device": False,
                "waiting": 0,
            },
        )
        self.assertEqual(self.listed(), [told])
        self.assertRegex(self.done("list"), rf"^Bob +{self.bob['public_key']}  not verified\n$")

    def test_again(self) -> None:
        """Somebody known keeps their name unless there is another one."""
        for arguments, name in (((), ""), (("--name", "Bob"), "Bob"), ((), "Bob")):
            self.done("add", self.bob["link"], *arguments)
            self.assertEqual([each["name"] for each in self.listed()], [name])
        self.done("rename", "Bob", "Robert")
        self.assertEqual([each["name"] for each in self.listed()], ["Robert"])
        self.done("rename", "Robert", "")
        self.assertEqual([each["name"] for each in self.listed()], [""])

    def test_what_cannot_be_added(self) -> None:
        """Exit status 2, and why."""
        for link, reason in (
            (self.bob["link"][:-1] + "u", "damaged"),
            ("Bob", "starts with tace1"),
            (self.own["link"], "own identity"),
        ):
            result = self.tace("add", link)
            self.assertEqual(result.exit_code, 2)
            self.assertIn(reason, " ".join(result.stderr.split()))
        self.assertEqual(self.listed(), [])

    def test_a_name_steers_no_terminal(self) -> None:
        """Whoever chose it."""
        self.stranger("\x1b[31mEve\u202e", 0)
        self.assertNotIn("\x1b", self.done("list") + self.done("requests"))


class Verifying(Contacts):
    def setUp(self) -> None:
        super().setUp()
        self.done("add", self.bob["link"], "--name", "Bob")
        told = json.loads(self.done("verify", "Bob", "--json"))
        self.number = told["safety_number"]
        self.assertFalse(told["verified"])

    def verified(self) -> bool:
        (bob,) = self.listed()
        verified: bool = bob["verified"]
        return verified

    def test_the_number(self) -> None:
        """Sixty digits, the same on both sides."""
        own, bob = (
            Home.open(self.directory / name, ask_passphrase=lambda: "", random_bytes=bytes)
            for name in ("alice", "bob")
        )
        self.addCleanup(own.close)
        self.addCleanup(bob.close)
        digits = SafetyNumber.of(bob.own.public, own.own.public).digits
        self.assertEqual(self.number, digits)
        shown = self.done("verify", "Bob")
        self.assertEqual("".join(shown.split()[:12]), digits.replace(" ", ""))
        self.assertTrue(shown.endswith("not verified\n"))
        self.assertFalse(self.verified(), "nobody compared anything")

    def test_typed(self) -> None:
        """With and without spaces, and from standard input."""
        for arguments, given in (
            ((self.number,), ""),
            (tuple(self.number.split()), ""),
            (("-",), self.number.replace(" ", "") + "\n"),
        ):
            self.assertEqual(self.done("verify", "Bob", *arguments, given=given), "verified\n")
            self.assertTrue(self.verified())
            self.done("verify", "Bob", "--undo")
            self.assertFalse(self.verified())

    def test_another_number(self) -> None:
        """Exit status 1 and a warning; what is no number at all is wrong usage."""
        last = "1" if self.number[-1] == "0" else "0"
        result = self.tace("verify", "Bob", self.number[:-1] + last)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("DIFFER", result.stderr)
        for number in ("12345", self.number + "1", "x" * 60, "\u0660" * 60):
            self.assertEqual(self.tace("verify", "Bob", number).exit_code, 2, number)
        self.assertFalse(self.verified())

    def test_a_terminal_is_asked(self) -> None:
        """Only a yes makes them verified."""
        for answer, verified in (("n", False), ("y", True)):
            terminal = Terminal("contact", "verify", "--home", str(self.home), "Bob", "--qr")
            terminal.answer("see the same number?", answer)
            printed = terminal.rest()
            self.assertIn("█", printed)
            self.assertIn("\x1b[", printed)
            self.assertEqual(self.verified(), verified)

    def test_verified_is_the_keys_matter(self) -> None:
        """Another key is another person, whatever their name: nothing changes silently."""
        self.done("verify", "Bob", self.number)
        self.stranger("Bob", 1)
        result = self.tace("requests")
        self.assertIn("not verified", result.stdout)
        self.assertIn("NOT your contact Bob", result.stderr)
        self.assertEqual([each["verified"] for each in self.listed()], [True, False])


class Requests(Contacts):
    def test_accepting(self) -> None:
        """They are listed with how much waits, and never with what."""
        self.stranger("Eve", 2)
        (eve,) = self.listed("requests")
        self.assertEqual((eve["name"], eve["standing"], eve["waiting"]), ("Eve", "request", 2))
        printed = self.done("requests")
        self.assertIn("2 waiting", printed)
        self.assertNotIn("never printed", printed)
        self.assertEqual(self.done("accept", "Eve"), "accepted Eve\n")
        self.assertEqual(self.listed("requests"), [])
        self.assertEqual([each["standing"] for each in self.listed()], ["contact"])

    def test_accepting_all(self) -> None:
        """Either some, or all: else wrong usage."""
        self.stranger("Eve", 1)
        self.assertEqual(self.tace("accept").exit_code, 2)
        self.assertEqual(self.tace("accept", "--all", "Eve").exit_code, 2)
        self.done("accept", "--all")
        self.assertEqual(self.listed("requests"), [])

    def test_the_policy(self) -> None:
        """Is kept."""
        self.assertIn("ask", self.tace("requests", "--policy", "ask").stderr)
        database = self.opened().database
        self.assertEqual(database.setting("strangers"), b"ask")
        self.assertEqual(self.tace("requests", "--policy", "never").exit_code, 2)

    def test_blocking(self) -> None:
        """What waited is gone; a block is taken back by name."""
        self.stranger("Eve", 2)
        self.assertEqual(self.done("block", "Eve"), "blocked Eve\n")
        (eve,) = self.listed()
        self.assertEqual((eve["standing"], eve["waiting"]), ("blocked", 0))
        self.assertEqual(self.tace("accept", "Eve").exit_code, 2)
        self.done("unblock", "Eve")
        self.assertEqual([each["standing"] for each in self.listed()], ["contact"])

    def test_a_terminal_is_asked(self) -> None:
        """Before somebody is blocked; --yes is for those who are sure."""
        self.stranger("Eve", 1)
        terminal = Terminal("contact", "block", "--home", str(self.home), "Eve")
        terminal.answer("Block Eve?", "n")
        terminal.rest()
        self.assertEqual([each["standing"] for each in self.listed()], ["request"])
        Terminal("contact", "block", "--home", str(self.home), "--yes", "Eve").rest()
        self.assertEqual([each["standing"] for each in self.listed()], ["blocked"])

    def test_nobody_of_that_name(self) -> None:
        """One wrong name, and nothing is done to the others."""
        self.stranger("Eve", 1)
        self.assertEqual(self.tace("block", "Eve", "Nobody").exit_code, 2)
        self.assertEqual([each["standing"] for each in self.listed()], ["request"])


class Files(Contacts):
    def test_there_and_back(self) -> None:
        """A private file; an existing one is kept unless it may go."""
        self.done("add", self.bob["link"], "--name", "Bob")
        file = self.directory / "contacts.json"
        self.done("export", str(file))
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        before = file.read_bytes()
        self.done("rename", "Bob", "Robert")
        refused = self.tace("export", str(file))
        self.assertEqual((refused.exit_code, file.read_bytes()), (1, before))
        self.done("export", "--force", str(file))
        self.assertEqual(self.done("export", "-").encode(), file.read_bytes())
        self.home = self.directory / "carol"
        self.identity(self.home)
        told = json.loads(self.done("import", "--json", str(file)))
        self.assertEqual(told, {"added": 1, "known": 0})
        again = self.done("import", "-", given=file.read_text())
        self.assertEqual(again, "0 added, 1 known already\n")
        self.assertEqual([each["name"] for each in self.listed()], ["Robert"])
        self.assertEqual(sorted(p.name for p in self.directory.glob(".*")), [])

    def test_no_such_file(self) -> None:
        """Exit status 1, one line."""
        for command, file in (
            ("import", self.directory / "nothing"),
            ("import", self.home / "home.db"),
            ("export", self.directory / "nowhere" / "file"),
        ):
            result = self.tace(command, str(file))
            self.assertEqual(result.exit_code, 1, result.output)
            self.assertEqual(len(result.stderr.splitlines()), 1)
