"""The Python side against the web client's: the same sessions, envelopes, records and files.

The other side is ``tace/web/src/e2ee/testing/interop.ts``, bundled and run by Node: the one that
``TACE_NODE`` names, else ``node`` from the search path. It needs what ``npm ci`` brings.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from threading import Timer
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.content import (
    Body,
    ContactsMailbox,
    Content,
    Delete,
    Edit,
    Profile,
    Reaction,
    Receipt,
    SessionRequest,
    Text,
    Unknown,
    encode_contents,
)
from tace.e2ee.device import Certificate
from tace.e2ee.export import export_base, open_export, seal_export
from tace.e2ee.inner import ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE, Inner
from tace.e2ee.link import ContactLink
from tace.e2ee.records import DeviceList, DeviceRecord, ListedDevice
from tace.e2ee.recovery import RecoveryCode
from tace.e2ee.safety import SafetyNumber
from tace.e2ee.sealed import seal, unseal
from tace.e2ee.session import Duplicate, Opened, Outcome, Pair, Undecryptable, receive, send, start
from tace.wire.objects import Envelope, stamp_bits
from tests.e2ee.people import NOW, Person

_WEB = Path(__file__).parents[2] / "tace" / "web"
_NETWORK = bytes(range(32))
_BUNDLE = """
import { build } from "vite";
await build({
  configFile: false,
  logLevel: "error",
  ssr: { noExternal: true },
  build: {
    ssr: process.argv.at(-2),
    outDir: process.argv.at(-1),
    emptyOutDir: false,
    target: "node20",
    rolldownOptions: { output: { entryFileNames: "interop.mjs" } },
  },
});
"""
_BUNDLE_SECONDS = 120
_PLAY_SECONDS = 120


def node() -> str:
    """:raises LookupError: there is no Node, without which the web client goes untested."""
    found = os.environ.get("TACE_NODE") or shutil.which("node")
    if not found:
        raise LookupError("no Node: put it in the search path, or name it with TACE_NODE")
    return found


@cache
def bundled(source: str = "src/e2ee/testing/interop.ts") -> Path:
    """That program of the web client, made once, in a folder of trial's own."""
    folder = Path(mkdtemp(prefix="web-interop-", dir=Path.cwd()))
    done = subprocess.run(
        [node(), "--input-type=module", "--eval", _BUNDLE, "--", source, str(folder)],
        cwd=_WEB,
        capture_output=True,
        text=True,
        timeout=_BUNDLE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the web client's program was not bundled: {done.stderr[-2000:]}")
    return folder / "interop.mjs"


class Web:
    """A device of the web client, in a process of its own."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [node(), str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # A program that hangs must not hang the tests: its end ends the waiting.
        self._end = Timer(_PLAY_SECONDS, self._process.kill)
        self._end.start()

    def ask(self, command: str, **given: object) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": command, **given}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the web client's program ended at {command!r}")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate(timeout=_PLAY_SECONDS)
        self._end.cancel()
        self._end.join()
        if self._process.returncode:
            raise RuntimeError(f"the web client's program ended with {self._process.returncode}")


class WebInteropTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.web = Web(bundled())
        self.addCleanup(self.web.close)
        self.ann = Person("ann")
        self.published = self.web.ask("publish")
        self.record = DeviceRecord.parse(bytes.fromhex(self.published["record"]))
        self.pair = Pair.with_device(self.record.identity, self.record.device)
        self.device_list = DeviceList.sign(
            self.ann.identity,
            [ListedDevice(self.ann.own.id, 5), ListedDevice(bytes(32), 6)],
            sequence=9,
            expires_hours=self.ann.own.certificate.expires_hours,
        )
        self.met = self.web.ask(
            "meet",
            record=self.ann.record.record.encoded.hex(),
            device_list=self.device_list.record.encoded.hex(),
            contact_code=ContactLink(self.ann.own.identity).text,
        )

    # -- what either side says -------------------------------------------------------------------

    def _start(self, *, fresh: bool = False) -> None:
        self.pair = start(
            self.pair, self.ann.own, self.record, self.ann.random_bytes, now=NOW, fresh=fresh
        )

    def _say(self, content: bytes) -> str:
        self.pair, inner = send(self.pair, self.ann.own, content, self.ann.random_bytes)
        return inner.hex()

    def _hear(self, inner: str) -> Outcome:
        outcome = receive(
            self.pair,
            self.ann.own,
            self.ann.prekeys,
            Inner.parse(bytes.fromhex(inner)),
            self.ann.random_bytes,
            now=NOW,
        )
        if isinstance(outcome, Opened):
            self.pair = outcome.pair
        return outcome

    def _web_says(self, content: bytes) -> str:
        inner: str = self.web.ask("send", content=content.hex())["inner"]
        return inner

    def _web_opens(self, inner: str, content: bytes) -> Any:
        told = self.web.ask("receive", inner=inner)
        self.assertEqual(
            ("opened", content.hex()), (told.get("outcome"), told.get("content")), told
        )
        return told

    def _opens(self, inner: str, content: bytes) -> Opened:
        outcome = self._hear(inner)
        assert isinstance(outcome, Opened), outcome
        self.assertEqual(content, outcome.content)
        return outcome

    def _sending(self) -> str:
        assert self.pair.active is not None
        return self.pair.active.id.hex()

    # -- records ---------------------------------------------------------------------------------

    def test_records_and_certificates(self) -> None:
        """Each reads what the other signed, and both show one safety number."""
        (listed,) = DeviceList.parse(bytes.fromhex(self.published["device_list"])).devices
        self.assertEqual((self.record.device, 7), (listed.device, listed.added_hours))
        certificate = Certificate.parse(bytes.fromhex(self.published["certificate"]))
        self.assertEqual(
            (self.record.identity, self.record.device, self.record.inbox_key),
            (certificate.identity, certificate.device, certificate.inbox_key),
        )
        link = ContactLink.parse(self.published["contact_code"])
        self.assertEqual(self.record.identity, link.identity)
        ann = self.ann.record
        self.assertEqual(
            {
                "device": ann.device.hex(),
                "inbox_key": ann.inbox_key.hex(),
                "listed": [[ann.device.hex(), 5], [bytes(32).hex(), 6]],
                "requests_mailbox": ann.requests_mailbox.hex(),
                "safety": SafetyNumber.of(ann.identity, link.identity).digits,
            },
            self.met,
        )

    def test_changed_record(self) -> None:
        """One changed bit, and it is refused by its name."""
        encoded = bytearray(self.ann.record.record.encoded)
        encoded[200] ^= 1
        told = self.web.ask(
            "meet",
            record=bytes(encoded).hex(),
            device_list=self.device_list.record.encoded.hex(),
            contact_code=ContactLink(self.ann.own.identity).text,
        )
        self.assertEqual({"error": "BadRecord"}, told)

    # -- sessions --------------------------------------------------------------------------------

    def test_python_starts(self) -> None:
        """The first message carries the start, full to the last byte; the answer comes back."""
        self._start()
        first = b"\xaa" * ROOM_WITH_HANDSHAKE
        told = self._web_opens(self._say(first), first)
        self.assertEqual((True, False), (told["started"], told["fresh"]))
        answer = b"\xbb" * ROOM_IN_SESSION
        self.assertFalse(self._opens(self._web_says(answer), answer).started)
        self._web_opens(self._say(answer), answer)

    def test_web_starts(self) -> None:
        """And the other way round."""
        session = self.web.ask("start")["session"]
        first = b"\xaa" * ROOM_WITH_HANDSHAKE
        outcome = self._opens(self._web_says(first), first)
        self.assertTrue(outcome.started)
        self.assertEqual(session, outcome.session.hex())
        answer = b"\xbb" * ROOM_IN_SESSION
        self._web_opens(self._say(answer), answer)
        self._opens(self._web_says(answer), answer)

    def test_both_start_at_once(self) -> None:
        """Nothing is lost, and both go on in the session with the lower id."""
        lower_was: set[bool] = set()
        for _ in range(20):
            self.pair = Pair.with_device(self.record.identity, self.record.device)
            self._start()
            session = self.web.ask("start")["session"]
            own = self._sending()
            lower_was.add(own < session)
            from_web, from_ann = self._web_says(b"web"), self._say(b"ann")
            self._opens(from_web, b"web")
            self._web_opens(from_ann, b"ann")
            for _ in range(2):
                self._web_opens(self._say(b"2"), b"2")
                told = self._opens(self._web_says(b"3"), b"3")
                self.assertEqual(min(own, session), told.session.hex())
            self.assertEqual(min(own, session), self._sending())
        self.assertEqual({True, False}, lower_was)

    def test_fresh_starts(self) -> None:
        """Either side's; what is late in the former session still opens."""
        self._start()
        self._web_opens(self._say(b"1"), b"1")
        self._opens(self._web_says(b"2"), b"2")
        late_web, late_ann = self._web_says(b"late"), self._say(b"late")
        session = self.web.ask("start", fresh=True)["session"]
        self.assertTrue(self._opens(self._web_says(b"3"), b"3").fresh)
        self._opens(late_web, b"late")
        told = self._web_opens(late_ann, b"late")
        self.assertEqual((session, session), (self._sending(), told["sends"]))
        # Answered, so that the next start does not cross this one.
        self._web_opens(self._say(b"answer"), b"answer")
        self._start(fresh=True)
        told = self._web_opens(self._say(b"4"), b"4")
        self.assertEqual((True, self._sending()), (told["fresh"], told["sends"]))

    def test_ping_pong(self) -> None:
        """Fifty messages in turn: a DH step with each."""
        self._start()
        for number in range(25):
            self._web_opens(self._say(b"ping %d" % number), b"ping %d" % number)
            self._opens(self._web_says(b"pong %d" % number), b"pong %d" % number)

    def test_out_of_order(self) -> None:
        """Fifty messages both ways in any order, some twice; what is changed opens nothing."""
        random = Random(3)
        self._start()
        self._web_opens(self._say(b"first"), b"first")
        flight: list[tuple[str, bool, bytes]] = []
        for number in range(50):
            content = b"message %d" % number
            by_web = random.random() < 0.5
            inner = self._web_says(content) if by_web else self._say(content)
            flight.append((inner, by_web, content))
            if random.random() < 0.5:
                self._deliver(*flight.pop(random.randrange(len(flight))))
        random.shuffle(flight)
        self.assertGreater(len(flight), 10)
        for sent in flight:
            self._deliver(*sent)

    def _deliver(self, inner: str, by_web: bool, content: bytes) -> None:
        changed = inner[:-1] + ("1" if inner[-1] == "0" else "0")
        if by_web:
            self.assertIsInstance(self._hear(changed), Undecryptable)
            self._opens(inner, content)
            self.assertEqual(Duplicate(), self._hear(inner))
        else:
            told = self.web.ask("receive", inner=changed)
            self.assertEqual({"outcome": "undecryptable", "reason": "tampered"}, told)
            self._web_opens(inner, content)
            self.assertEqual({"outcome": "duplicate"}, self.web.ask("receive", inner=inner))

    # -- envelopes, contents, files --------------------------------------------------------------

    def test_envelopes(self) -> None:
        """Sealed by one, unsealed by the other; the stamp holds; another network's is junk."""
        self._start()
        inner = bytes.fromhex(self._say(b"sealed"))
        envelope = seal(
            inner,
            inbox_key=self.record.inbox_key,
            network_id=_NETWORK,
            mailbox=self.record.requests_mailbox,
            expires_hours=500_000,
            random_bytes=self.ann.random_bytes,
        )
        told = self.web.ask("unseal", envelope=envelope.encoded.hex(), network_id=_NETWORK.hex())
        self.assertEqual(inner.hex(), told["inner"])
        elsewhere = bytes(32).hex()
        told = self.web.ask("unseal", envelope=envelope.encoded.hex(), network_id=elsewhere)
        self.assertEqual({"error": "Junk"}, told)
        self._web_opens(inner.hex(), b"sealed")

        answer = self._web_says(b"answer")
        told = self.web.ask(
            "seal", inner=answer, network_id=_NETWORK.hex(), expires_hours=500_000, target=10
        )
        envelope = Envelope.parse(bytes.fromhex(told["envelope"]))
        self.assertEqual(self.ann.record.requests_mailbox, envelope.mailbox)
        self.assertEqual(10, envelope.stamp_target)
        self.assertGreaterEqual(stamp_bits(envelope.id, 10, envelope.stamp_nonce), 10)
        found = unseal(envelope, inbox=self.ann.keys.inbox, network_id=_NETWORK)
        self.assertEqual(answer, (found.inner.prefix + found.inner.message).hex())

    def test_contents(self) -> None:
        """Every kind is read, and written again byte for byte."""
        an_id, mailbox = bytes(range(16)), bytes(31) + b"\2"
        bodies: tuple[Body, ...] = (
            Text("Grüße, 你好 🚲"),
            Receipt(2, (an_id, bytes(16))),
            SessionRequest((bytes(32),)),
            Profile("Ann"),
            ContactsMailbox(mailbox),
            Reaction(an_id, "👍🏽"),
            Edit(an_id, "better"),
            Delete(an_id),
        )
        contents = [
            Content(an_id, 2**53 - 1 - number, number, body, an_id)
            for number, body in enumerate(bodies)
        ]
        plaintext = encode_contents(contents).hex()
        told = self.web.ask("contents", contents=plaintext)
        self.assertEqual({"contents": plaintext, "kinds": [1, 3, 4, 5, 6, 7, 8, 9]}, told)
        newer = encode_contents([Content(an_id, 0, 0, Unknown(99, b"\x92\x01\xa1x"))]).hex()
        told = self.web.ask("contents", contents=newer)
        self.assertEqual({"contents": newer, "kinds": ["unknown"]}, told)
        self.assertEqual({"error": "Malformed"}, self.web.ask("contents", contents=newer[:-2]))

    def test_export_files(self) -> None:
        """Sealed by one, opened by the other; another code opens neither."""
        code, other = (RecoveryCode.generate(Random(name).randbytes) for name in "ab")
        content = b"said " * 1000
        file = seal_export(export_base(code), content, self.ann.random_bytes)
        told = self.web.ask("export", code=code.text, file=file.hex())
        self.assertEqual(content.hex(), told["content"])
        self.assertEqual(content, open_export(export_base(code), bytes.fromhex(told["file"])))
        told = self.web.ask("export", code=other.text, file=file.hex())
        self.assertEqual({"error": "WrongExportCode"}, told)
