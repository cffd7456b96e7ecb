"""The vectors that play out are played from their files alone."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.device import Certificate, DeviceKeys
from tace.e2ee.inner import Inner
from tace.e2ee.pqxdh import OwnDevice, SessionKeys
from tace.e2ee.prekeys import Prekey
from tace.e2ee.ratchet import RatchetError, decrypt, encrypt, start_as_responder
from tace.e2ee.records import DeviceRecord
from tace.e2ee.session import Duplicate, Opened, Pair, Undecryptable, receive, send, start
from tace.errors import Malformed
from tace.identity.keys import SigningKey
from tests.e2ee.test_vectors import Replay
from tests.e2ee.vectors import load

_HEX = bytes.fromhex


class Device:
    """What a pair vector says of one device, its state towards the other, and its randomness."""

    def __init__(self, given: Any) -> None:
        unused = SigningKey.from_seed(bytes(48))
        device_key, inbox_key = (
            AgreementKey(_HEX(given[name]["scalar"])) for name in ("device_key", "inbox_key")
        )
        keys = DeviceKeys(device_key, inbox_key, unused, unused)
        self.own = OwnDevice(keys, Certificate.parse(_HEX(given["certificate"])))
        prekey = given["prekey"]
        kem = MLKEM768PrivateKey.from_seed_bytes(_HEX(prekey["kem_seed"]))
        ec = AgreementKey(_HEX(prekey["ec"]["scalar"]))
        kem_public = _HEX(prekey["kem_public"])
        self.prekeys = {prekey["id"]: Prekey(prekey["id"], ec, kem, kem_public, 0, 0)}
        self.record = DeviceRecord.parse(_HEX(given["device_record"]))
        self.source = Replay()

    def meet(self, other: Device) -> None:
        self.other = other
        self.pair = Pair.with_device(other.own.identity, other.own.id)


def _first(device: Device, encoded: bytes, now: int) -> str:
    """What the device says of its first message from whoever it claims to come from."""
    try:
        inner = Inner.parse(encoded)
    except Malformed:
        return "junk"
    pair = Pair.with_device(inner.identity, inner.device)
    outcome = receive(pair, device.own, device.prekeys, inner, device.source, now=now)
    if isinstance(outcome, Undecryptable):
        return outcome.reason.name.lower().replace("_", " ")
    return type(outcome).__name__.lower()


class ScriptTests(SynchronousTestCase):
    def test_skipping(self) -> None:
        """Each delivery opens or is refused as the file says, with as many keys kept."""
        given = load("e2ee/skipping")
        associated_data = _HEX(given["associated_data"])
        refused: set[str] = set()
        for case in given["cases"]:
            names = ("root", "initiator_header", "responder_header")
            keys = SessionKeys(bytes(32), *(_HEX(case[name]) for name in names))
            responder = start_as_responder(keys, AgreementKey(_HEX(case["prekey"]["scalar"])))
            source = Replay()
            for event in case["events"]:
                source.feed(event["random"])
                message = _HEX(event["message"])
                if "send" in event:
                    responder, made = encrypt(
                        responder, _HEX(event["send"]), associated_data, source
                    )
                    self.assertEqual(message, made)
                    continue
                try:
                    responder, plaintext = decrypt(responder, message, associated_data, source)
                    self.assertEqual(event["opened"], plaintext.hex())
                except RatchetError as error:
                    self.assertEqual(event["refused"], type(error).__name__)
                    refused.add(event["refused"])
                self.assertEqual(event["skipped_keys"], responder.skipped_count)
                self.assertEqual([], source.left)
        self.assertEqual({"TooFarAhead", "KeyGone", "NoHeaderKey"}, refused)

    def test_first_messages(self) -> None:
        """Each change of a first message, and each time, has the outcome that the file says."""
        given = load("e2ee/session")
        message = given["messages"][0]
        found: set[str] = set()
        for case in given["first_messages"]:
            device, encoded = Device(given["ben"]), bytearray(_HEX(message["inner"]))
            changed = _HEX(case["bytes"])
            encoded[case["at"] : case["at"] + len(changed)] = changed
            device.source.feed(message["recipient_random"])
            outcome = _first(device, bytes(encoded), case["now"])
            self.assertEqual(case["outcome"], outcome, case["about"])
            found.add(outcome)
        words = {"bad handshake", "junk", "no session", "opened", "tampered", "unknown prekey"}
        self.assertEqual(words, found)

    def test_pairs(self) -> None:
        """Every start, message and delivery gives the bytes and the sessions of the file."""
        given = load("e2ee/pairs")
        self.assertEqual(4, len(given["cases"]))
        for case in given["cases"]:
            devices = {name: Device(given[name]) for name in ("ann", "ben")}
            devices["ann"].meet(devices["ben"])
            devices["ben"].meet(devices["ann"])
            sent: list[bytes] = []
            for event in case["events"]:
                device = devices[event["by"]]
                device.source.feed(event["random"])
                self._play(device, event, sent, given["now"])
                self.assertEqual([], device.source.left)
                found = [
                    {
                        "id": session.id.hex(),
                        "handshake_rides": bool(session.handshake),
                        "only_receives": session.only_receives,
                    }
                    for session in device.pair.sessions
                ]
                self.assertEqual(event["sessions"], found, case["name"])
            self.assertEqual(devices["ann"].pair.sessions[0].id, devices["ben"].pair.sessions[0].id)

    def _play(self, device: Device, event: Any, sent: list[bytes], now: int) -> None:
        match event["event"]:
            case "start":
                device.pair = start(
                    device.pair,
                    device.own,
                    device.other.record,
                    device.source,
                    now=now,
                    fresh=event["fresh"],
                    encapsulate=lambda public: (
                        _HEX(event["kem_shared"]),
                        _HEX(event["kem_ciphertext"]),
                    ),
                )
            case "send":
                device.pair, inner = send(
                    device.pair, device.own, _HEX(event["content"]), device.source
                )
                self.assertEqual(event["inner"], inner.hex())
                sent.append(inner)
            case _:
                inner = sent[event["message"]]
                outcome = receive(
                    device.pair,
                    device.own,
                    device.prekeys,
                    Inner.parse(inner),
                    device.source,
                    now=now,
                )
                self._compare(event, outcome)
                if isinstance(outcome, Opened):
                    device.pair = outcome.pair

    def _compare(self, event: Any, outcome: Opened | Duplicate | Undecryptable) -> None:
        if "duplicate" in event:
            self.assertEqual(Duplicate(), outcome)
            return
        assert isinstance(outcome, Opened)
        self.assertEqual(
            (event["opened"], event["session_id"], event["started"], event["fresh"]),
            (outcome.content.hex(), outcome.session.hex(), outcome.started, outcome.fresh),
        )
