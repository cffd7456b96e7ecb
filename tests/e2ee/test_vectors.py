"""The vector files: made again they are the same, and what they hold is read as they say."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.content import (
    PIECE_BYTES,
    Body,
    ContactsMailbox,
    Delete,
    Edit,
    File,
    Part,
    Profile,
    Reaction,
    Receipt,
    SessionRequest,
    Text,
    Unknown,
    decode_body,
    decode_contents,
)
from tace.e2ee.device import Certificate
from tace.e2ee.export import BadExport, WrongExportCode, export_base, open_export
from tace.e2ee.file import chunk_hash, open_chunk, seal_chunk
from tace.e2ee.inner import Inner
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.link import BadLink, ContactLink
from tace.e2ee.order import HoldBack
from tace.e2ee.parts import Joining
from tace.e2ee.pqxdh import Handshake, SessionKeys
from tace.e2ee.ratchet import RatchetError, decrypt, encrypt, start_as_initiator, start_as_responder
from tace.e2ee.records import DeviceList, DeviceRecord
from tace.e2ee.recovery import BadRecoveryCode, RecoveryCode
from tace.e2ee.safety import SafetyNumber
from tace.e2ee.sealed import Junk, unseal
from tace.errors import BadRecord, Malformed
from tace.identity.user_record import UserRecord
from tace.wire.objects import Envelope, stamp_bits
from tests.e2ee.make_vectors import FILES, make
from tests.e2ee.vector_payloads import changed, with_payload
from tests.e2ee.vector_sources import Recorded
from tests.e2ee.vectors import FOLDER, load

KNOWN = (
    Text,
    Part,
    Receipt,
    SessionRequest,
    Profile,
    ContactsMailbox,
    Reaction,
    Edit,
    Delete,
    File,
)


def _hex(given: Any, *names: str) -> list[bytes]:
    return [bytes.fromhex(given[name]) for name in names]


class Replay:
    """A random source that gives what the vector recorded."""

    def __init__(self) -> None:
        self.left: list[bytes] = []

    def feed(self, given: list[str]) -> None:
        self.left += [bytes.fromhex(each) for each in given]

    def __call__(self, count: int) -> bytes:
        given = self.left.pop(0)
        assert len(given) == count
        return given


class VectorTests(SynchronousTestCase):
    def test_made_again_they_are_the_same(self) -> None:
        """Byte for byte, with nothing drawn anew; a change of the protocol shows here."""
        made = make(Recorded(load("e2ee/recorded"), may_draw=False))
        files = {path.stem: path.read_text() for path in (FOLDER / "e2ee").glob("*.json")}
        self.assertEqual(sorted(made), sorted(files))
        for name, text in made.items():
            self.assertTrue(text == files[name], f"{name}.json: run scripts/make-e2ee-vectors")
        self.assertEqual(len(FILES) + 1, len(made))

    def test_recorded_values_are_checked(self) -> None:
        """A recorded value that does not hold is noticed, not carried on."""
        values = load("e2ee/recorded")
        values["ann certificate"] = values["ben certificate"]
        self.assertRaises(LookupError, make, Recorded(values, may_draw=False))

    def test_labels(self) -> None:
        """The labels are those of the code."""
        for name, text in load("e2ee/labels")["labels"].items():
            self.assertEqual(getattr(E2eeLabel, name), text.encode())

    def test_recovery(self) -> None:
        """Texts give their secrets and identities; wrong ones their words."""
        given = load("e2ee/recovery")
        for case in given["codes"]:
            code = RecoveryCode.parse(case["text"])
            self.assertEqual(case["secret"], code.secret.hex())
            self.assertEqual(case["identity"]["public"], code.identity().public.hex())
        for text in given["same_as_the_third"]:
            self.assertEqual(given["codes"][2]["secret"], RecoveryCode.parse(text).secret.hex())
        for case in given["refused"]:
            error = self.assertRaises(BadRecoveryCode, RecoveryCode.parse, case["text"])
            self.assertEqual(case["error"], str(error))
        self.assertEqual(5, len(given["refused"]))

    def test_devices(self) -> None:
        """Certificate and records parse to what stands beside them."""
        given = load("e2ee/devices")
        certificate = Certificate.parse(bytes.fromhex(given["certificate"]["encoded"]))
        self.assertEqual(given["identity"]["public"], certificate.identity.hex())
        self.assertEqual(given["device_id"], certificate.device.hex())
        self.assertEqual(given["inbox_key"]["public"], certificate.inbox_key.hex())
        listed = DeviceList.parse(bytes.fromhex(given["device_list"]["encoded"]))
        self.assertEqual(
            given["device_list"]["devices"],
            [[each.device.hex(), each.added_hours] for each in listed.devices],
        )
        record = DeviceRecord.parse(bytes.fromhex(given["device_record"]["encoded"]))
        self.assertEqual(given["device_record"]["prekey"], record.prekey.hex())
        self.assertEqual(given["device_record"]["kem_prekey"], record.kem_prekey.hex())
        self.assertEqual(given["requests_mailbox"], record.requests_mailbox.hex())

    def test_payloads(self) -> None:
        """Payloads of records that were changed are taken or refused as the file says."""
        given = load("e2ee/devices")
        device = DeviceRecord.parse(bytes.fromhex(given["device_record"]["encoded"])).record
        listed = DeviceList.parse(bytes.fromhex(given["device_list"]["encoded"])).record
        cases: list[tuple[Any, Callable[[UserRecord], object], UserRecord]] = []
        for case in given["device_payloads"]:
            changes = [(at, count, bytes.fromhex(new)) for at, count, new in case["changes"]]
            payload = changed(device.payload, changes)
            cases.append((case, DeviceRecord.of, with_payload(device, payload)))
        for case in given["list_payloads"]:
            payload = bytes.fromhex(case["payload"])
            cases.append((case, DeviceList.of, with_payload(listed, payload)))
        for case, parse, record in cases:
            if case["taken"]:
                parse(record)
            else:
                with self.assertRaises(BadRecord, msg=case["about"]):
                    parse(record)
        self.assertEqual((36, 9), (len(cases), sum(case["taken"] for case, *_ in cases)))

    def test_pqxdh(self) -> None:
        """The handshake names the initiator and carries what stands beside it."""
        given = load("e2ee/pqxdh")
        handshake = Handshake.parse(bytes.fromhex(given["handshake"]))
        self.assertEqual(given["initiator"]["certificate"], handshake.certificate.encoded.hex())
        self.assertEqual(given["ephemeral"]["public"], handshake.ephemeral.hex())
        self.assertEqual(given["kem_ciphertext"], handshake.kem_ciphertext.hex())
        self.assertTrue(handshake.fresh)

    def test_ratchet(self) -> None:
        """Played from the file: each delivery opens or is refused as it says."""
        given = load("e2ee/ratchet")
        keys = SessionKeys(bytes(32), *_hex(given, "root", "initiator_header", "responder_header"))
        prekey = AgreementKey(bytes.fromhex(given["prekey"]["scalar"]))
        associated_data = bytes.fromhex(given["associated_data"])
        source = Replay()
        source.feed(given["initiator_random"])
        parties = {
            "i": start_as_initiator(keys, prekey.public, source),
            "r": start_as_responder(keys, prekey),
        }
        sent, outcomes = 0, []
        for step in given["steps"]:
            source.feed(step["random"])
            if "send" in step:
                by = step["by"]
                parties[by], message = encrypt(
                    parties[by], bytes.fromhex(step["plaintext"]), associated_data, source
                )
                self.assertEqual(step["message"], message.hex())
                sent += 1
                continue
            to = step["to"]
            try:
                parties[to], plaintext = decrypt(
                    parties[to], bytes.fromhex(step["message"]), associated_data, source
                )
                self.assertEqual(step["opened"], plaintext.hex())
                outcomes.append("opened")
            except RatchetError as error:
                self.assertEqual(step["refused"], type(error).__name__)
                outcomes.append(step["refused"])
            self.assertEqual(step["skipped_keys"], parties[to].skipped_count)
        self.assertEqual((20, []), (sent, source.left))
        self.assertEqual(19, outcomes.count("opened"))
        self.assertLessEqual({"Tampered", "KeyGone"}, set(outcomes))

    def test_session(self) -> None:
        """Inner messages carry handshake, claim and tag as they say."""
        given = load("e2ee/session")
        kinds = []
        for message in given["messages"]:
            inner = Inner.parse(bytes.fromhex(message["inner"]))
            self.assertEqual(given["identities"][message["by"]], inner.identity.hex())
            self.assertEqual(message["consumed_tag"], inner.consumed_tag.hex())
            self.assertEqual(1, len(decode_contents(bytes.fromhex(message["content"]))))
            kinds.append(bool(inner.handshake))
        self.assertEqual([True, True, False, False], kinds)

    def test_sealed(self) -> None:
        """The envelope opens to its secret and inner message, and not under another header."""
        given = load("e2ee/sealed")
        encoded, network_id = _hex(given, "envelope", "network_id")
        inbox = AgreementKey(bytes.fromhex(given["inbox_key"]["scalar"]))
        envelope = Envelope.parse(encoded)
        found = unseal(envelope, inbox=inbox, network_id=network_id)
        self.assertEqual(given["secret"], found.secret.hex())
        self.assertEqual(given["inner"], (found.inner.prefix + found.inner.message).hex())
        self.assertEqual(given["envelope_id"], envelope.id.hex())
        headers = given["headers_that_do_not_open"]
        self.assertEqual(3, len(headers))
        for header in headers.values():
            changed = Envelope.parse(bytes.fromhex(header) + envelope.blob)
            self.assertRaises(Junk, unseal, changed, inbox=inbox, network_id=network_id)

    def test_stamp(self) -> None:
        """Each nonce does, and none before it does."""
        for case in load("e2ee/stamp")["cases"]:
            message, target = bytes.fromhex(case["id"]), case["target"]
            self.assertGreaterEqual(stamp_bits(message, target, case["nonce"]), target)
            if case["nonce"]:
                self.assertLess(stamp_bits(message, target, case["nonce"] - 1), target)

    def test_content(self) -> None:
        """Bytes give the contents that stand beside them; parts join; the rest is refused."""
        given = load("e2ee/content")
        classes: dict[int, type[Body]] = {each.KIND: each for each in KNOWN}
        for case in given["cases"]:
            (found,) = decode_contents(bytes.fromhex(case["encoded"]))
            self.assertIsInstance(found.body, classes.get(case["body"]["kind"], Unknown))
            self.assertEqual(
                (case["id"], case["counter"], case["sent_ms"], case["reply_to"]),
                (
                    found.id.hex(),
                    found.counter,
                    found.sent_ms,
                    found.reply_to and found.reply_to.hex(),
                ),
            )
        (newer,) = decode_contents(bytes.fromhex(given["newer"]["encoded"]))
        self.assertEqual(Text("hi"), newer.body)
        joining, joined = Joining(), None
        for body in reversed(given["parts"]["bodies"]):
            part = decode_body(2, bytes.fromhex(body))
            assert isinstance(part, Part)
            joined = joining.add(part)
        self.assertEqual(Text(given["parts"]["text"]), joined)
        for name, encoded in given["refused"].items():
            with self.assertRaises(Malformed, msg=name):
                decode_contents(bytes.fromhex(encoded))
        self.assertEqual(16, len(given["refused"]))

    def test_file(self) -> None:
        """Each chunk has its hash and opens to its piece, in its place alone."""
        given = load("e2ee/file")
        key, count = bytes.fromhex(given["key"]), given["count"]
        whole = bytes(at % 251 for at in range(given["size"]))
        opened = b""
        for case in given["chunks"]:
            index = case["index"]
            piece = whole[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
            chunk = seal_chunk(key, index, count, piece)
            self.assertEqual(case["hash"], chunk_hash(chunk).hex())
            self.assertEqual(case["end"], chunk[-32:].hex())
            opened += open_chunk(key, index, count, chunk)
            for elsewhere in ((index + 1, count), (index, count + 1)):
                with self.assertRaises(Malformed):
                    open_chunk(key, *elsewhere, chunk)
        self.assertEqual(given["file_hash"], sha256(opened[: len(whole)]).hexdigest())
        self.assertEqual(given["empty"], chunk_hash(seal_chunk(key, 0, 1, b"")).hex())

    def test_export(self) -> None:
        """The file opens with its code; nothing else does."""
        given = load("e2ee/export")
        base = export_base(RecoveryCode.parse(given["code"]))
        self.assertEqual(given["base"], base.hex())
        file = bytes.fromhex(given["file"])
        self.assertEqual(given["plaintext"], open_export(base, file).hex())
        self.assertEqual(given["salt"] + given["nonce"], file[14:42].hex())
        for name, encoded in given["not_an_export"].items():
            with self.assertRaises(BadExport, msg=name):
                open_export(base, bytes.fromhex(encoded))
        for name, encoded in given["does_not_open"].items():
            with self.assertRaises(WrongExportCode, msg=name):
                open_export(base, bytes.fromhex(encoded))
        with self.assertRaises(WrongExportCode):
            open_export(export_base(RecoveryCode.parse(given["another_code"])), file)

    def test_order(self) -> None:
        """Events show what the file says."""
        given = load("e2ee/order")
        held: HoldBack[int] = HoldBack(given["next_counter"])
        for event in given["events"]:
            match event["event"]:
                case "offer":
                    shown = held.offer(event["counter"], event["counter"], event["at"])
                case "due":
                    shown = held.due(event["at"])
                case _:
                    shown = held.caught_up()
            self.assertEqual((event["shown"], event["deadline"]), (shown, held.deadline()))

    def test_safety(self) -> None:
        """Digits and QR bytes of pairs, in both orders."""
        cases = load("e2ee/safety")["cases"]
        for case in cases:
            number = SafetyNumber.of(*_hex(case, "one", "other"))
            self.assertEqual(case["digits"], number.digits)
            self.assertTrue(number.matches(bytes.fromhex(case["qr"])))
        self.assertEqual(cases[0]["digits"], cases[1]["digits"])

    def test_links(self) -> None:
        """Links give identity and node; wrong ones their words."""
        given = load("e2ee/links")
        link = ContactLink(bytes.fromhex(given["identity"]), given["origin"])
        self.assertEqual((given["link"], given["code"]), (link.text, link.contact_code))
        for text in given["same"]:
            self.assertEqual(link.identity, ContactLink.parse(text).identity)
        for case in given["refused"]:
            error = self.assertRaises(BadLink, ContactLink.parse, case["text"])
            self.assertEqual(case["error"], str(error))
        self.assertEqual(6, len(given["refused"]))
