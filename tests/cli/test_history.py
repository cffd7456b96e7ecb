"""``tace history``, and the fold of its search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import main
from tace.client.home import Home
from tace.client.rows import MessageState, Peer
from tace.client.search import contains, fold
from tace.e2ee.content import Kind
from tace.identity.keys import SigningKey

BOB = SigningKey.from_seed(bytes([7]) * 48).public
ONE, TWO, MINE = (bytes([number]) * 16 for number in (1, 2, 3))


class Histories(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        CliRunner().invoke(main, ["identity", "new", "--home", str(self.home)])
        home = Home.open(self.home, ask_passphrase=lambda: "", random_bytes=bytes)
        self.addCleanup(home.close)
        self.database = home.database
        self.database.set_peer(Peer(BOB, "Bob"))
        self.add(1, Kind.TEXT, "Frühstück um acht?")
        self.add(2, Kind.TEXT, "secret")
        self.add(3, Kind.TEXT, "two\nlines", outgoing=True, state=MessageState.DELIVERED)
        self.add(4, Kind.EDIT, "Frühstück um neun?", target=ONE)
        self.add(5, Kind.DELETE, "", target=TWO)
        self.add(6, Kind.REACTION, "+", target=MINE)
        self.add(7, Kind.TEXT, "not shown yet", shown=False)

    def add(self, number: int, kind: int, text: str, **more: Any) -> None:
        fields: dict[str, Any] = {"outgoing": False, "state": MessageState.RECEIVED, "shown": True}
        self.database.add_message(
            peer=BOB,
            message_id=bytes([number]) * 16,
            counter=number,
            sent_ms=1_000 * number,
            received_ms=1_000 * number + 1,
            text=text,
            kind=kind,
            **{**fields, **more},
        )

    def tace(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["history", "--home", str(self.home), *arguments])

    def texts(self, *arguments: str) -> list[str]:
        result = self.tace("--json", *arguments, "Bob")
        self.assertEqual(result.exit_code, 0, result.output)
        return [json.loads(line).get("text", "-") for line in result.stdout.splitlines()]

    def test_for_people(self) -> None:
        """As it reads now: edited, deleted, with reactions and ticks."""
        lines = self.tace("Bob").stdout.splitlines()
        self.assertEqual(
            [line[17:] if line[0] != " " else line for line in lines],
            ["Bob: Frühstück um neun? (edited)", "Bob: (deleted)", "me: two", "    lines [+] ✓✓"],
        )
        for line in lines[:3]:
            self.assertRegex(line, r"^(1969-12-31|1970-01-01) \d\d:\d\d ")

    def test_for_programs(self) -> None:
        """What every line has, and what its kind has."""
        first, deleted, mine = (
            json.loads(line) for line in self.tace("--json", "Bob").stdout.splitlines()
        )
        self.assertEqual((first["kind"], first["edited"], first["mine"]), ("text", True, False))
        self.assertEqual((deleted["kind"], deleted["edited"]), ("deleted", False))
        self.assertNotIn("text", deleted)
        self.assertEqual(mine["reactions"], [{"emoji": "+", "mine": False}])
        self.assertEqual((mine["state"], mine["id"]), ("delivered", MINE.hex()))
        self.assertEqual(mine["sent"], "1970-01-01T00:00:03.000Z")

    def test_search(self) -> None:
        """Whatever the case and the accents; in what it reads now, and not in what was there."""
        self.assertEqual(self.texts("--search", "FRUHSTUCK"), ["Frühstück um neun?"])
        self.assertEqual(self.texts("--search", "acht"), [])
        self.assertEqual(self.texts("--search", "secret"), [])
        self.assertEqual(self.texts("--search", "not shown"), [])

    def test_limit(self) -> None:
        """The newest; of those that were found when something is looked for."""
        self.assertEqual(self.texts("--limit", "1"), ["two\nlines"])
        self.assertEqual(self.texts("--limit", "1", "--search", "n"), ["two\nlines"])
        self.assertEqual(len(self.texts("--limit", "0")), 3)
        self.assertEqual(self.tace("--limit", "-1", "Bob").exit_code, 2)

    def test_nobody(self) -> None:
        """Wrong usage."""
        self.assertEqual(self.tace("Eve").exit_code, 2)


class Folding(SynchronousTestCase):
    def test_like_the_web_client(self) -> None:
        """Compatibility forms, marks, case (src/engine/folding.test.ts)."""
        for text, wanted in (("ÀÉÎ", "aei"), ("ﬁne", "fi"), ("Å", "a"), ("Ǆ", "dz"), ("①", "1")):
            self.assertTrue(contains(text, fold(wanted)), text)
        self.assertFalse(contains("ß", fold("ss")))
