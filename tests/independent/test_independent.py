"""The mini client against the vectors, and against nodes and the `tace` command as they run.

Nothing of tace is imported here: the vectors are files, the rest are processes.
"""

import json
import struct
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from msgpack import packb, unpackb  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.independent.basics import (
    H,
    Key,
    contact_code,
    dh,
    identity_from,
    key_from,
    point,
    read_link,
    read_record,
    recovery_text,
    safety_number,
    stamp,
    verify,
)
from tests.independent.mini_client import Client, Session, derive
from tests.independent.program import ROOT, Program

HEX = bytes.fromhex
NOBODY = "00000-00000-00000-00000-00000-142ST"


def vectors(name: str) -> Any:
    return json.loads((ROOT / "tests" / "vectors" / name).read_text())


def key_of(entry: dict[str, str]) -> Key:
    key = load_der_private_key(HEX(entry["pkcs8"]), None)
    assert isinstance(key, Key) and point(key).hex() == entry["public"]
    return key


def chosen(drawn: bytes, size: int) -> bytes:
    assert len(drawn) == size
    return drawn


def device(entry: dict[str, Any], owner: Key | None = None) -> Client:
    """A client with the keys of the vectors; those of its mailboxes do not matter there."""
    client = Client(NOBODY, bytes(32))
    prekey = entry["prekey"]
    client.owner = owner or client.owner
    client.keys[:2] = key_of(entry["device_key"]), key_of(entry["inbox_key"])
    client.number, client.prekey = prekey["id"], key_of(prekey["ec"])
    client.kem = MLKEM768PrivateKey.from_seed_bytes(HEX(prekey["kem_seed"]))
    client.know()
    client.identity = HEX(entry["certificate"])[:33]
    return client


class VectorTest(SynchronousTestCase):
    def test_recovery_codes(self) -> None:
        vector = vectors("e2ee/recovery.json")
        for case in vector["codes"]:
            self.assertEqual(recovery_text(HEX(case["secret"])), case["text"])
            client = Client(case["text"], bytes(32))
            self.assertEqual(client.identity.hex(), case["identity"]["public"])
        for text in vector["same_as_the_third"]:
            identity = point(identity_from(text)).hex()
            self.assertEqual(identity, vector["codes"][2]["identity"]["public"])
        for case in vector["refused"]:
            with self.assertRaises(AssertionError, msg=case["text"]):
                identity_from(case["text"])

    def test_links(self) -> None:
        vector = vectors("e2ee/links.json")
        self.assertEqual(contact_code(HEX(vector["identity"])), vector["code"])
        self.assertEqual(f"{vector['origin']}/#{vector['code']}", vector["link"])
        for text in [vector["link"], vector["code"], *vector["same"]]:
            self.assertEqual(read_link(text).hex(), vector["identity"])
        for case in vector["refused"]:
            with self.assertRaises(AssertionError, msg=case["text"]):
                read_link(case["text"])

    def test_safety_numbers(self) -> None:
        for case in vectors("e2ee/safety.json")["cases"]:
            digits, code = safety_number(HEX(case["one"]), HEX(case["other"]))
            self.assertEqual((digits, code.hex()), (case["digits"], case["qr"]))

    def test_stamps(self) -> None:
        for case in vectors("e2ee/stamp.json")["cases"]:
            expected = struct.pack(">BQ", case["target"], case["nonce"])
            self.assertEqual(stamp(HEX(case["id"]), case["target"]), expected)

    def test_device_and_its_records(self) -> None:
        vector = vectors("e2ee/devices.json")
        client = Client(NOBODY, HEX(vector["device_seed"]))
        names = ["device_key", "inbox_key", "requests_key", "contacts_key"]
        self.assertEqual([p.hex() for p in client.points], [vector[n]["public"] for n in names])
        self.assertEqual(client.id.hex(), vector["device_id"])
        boxes = [vector["requests_mailbox"], vector["contacts_mailbox"]]
        self.assertEqual([m.hex() for m in client.mailboxes], boxes)

        client.owner, record = key_of(vector["identity"]), vector["device_record"]
        client.number, client.prekey = record["prekey_id"], client.keys[0]
        client.kem = MLKEM768PrivateKey.from_seed_bytes(HEX(record["kem_seed"]))
        client.know()
        client.prekeys[0] = HEX(record["prekey"])
        identity, ours = client.identity, list(client.records(record["sequence"]))
        self.assertEqual(ours[0][:-64], HEX(record["encoded"])[:-64])
        verify(identity, "tace user record 1", ours[0])
        fields = read_record(HEX(record["encoded"]), 2, identity, client.id, record["sequence"])
        self.assertEqual(fields, read_record(ours[0], 2, identity, client.id, record["sequence"]))
        devices = vector["device_list"]
        fields = read_record(HEX(devices["encoded"]), 1, identity, bytes(32), devices["sequence"])
        self.assertEqual([[name.hex(), since] for name, since in fields[1]], devices["devices"])
        for kind, name, case in (1, bytes(32), devices), (2, client.id, record):
            key = H("tace record 1", bytes([kind]), identity, name)
            self.assertEqual(key.hex(), case["key"])
        with self.assertRaises(AssertionError):  # it is over
            read_record(ours[0], 2, identity, client.id, record["expires_hours"] * 3600)
        certificate = HEX(vector["certificate"]["encoded"])
        verify(identity, "tace device certificate 1", certificate)
        expires = vector["certificate"]["expires_hours"].to_bytes(4)
        body = identity + client.points[0] + client.points[1] + expires
        self.assertEqual(certificate[:103], body)

    def test_session_start(self) -> None:
        vector = vectors("e2ee/pqxdh.json")
        ann, ben = (device(vector[role]) for role in ("initiator", "responder"))
        ephemeral = key_from(HEX(vector["ephemeral"]["seed"]))
        self.assertEqual(point(ephemeral).hex(), vector["ephemeral"]["public"])
        record = read_record(
            HEX(vector["responder"]["device_record"]), 2, ben.identity, ben.id, vector["now"]
        )
        self.assertEqual(record[1:3] + record[4:], [*ben.points[:2], ben.number, *ben.prekeys])
        agreements = [
            dh(ann.keys[0], record[5]),
            dh(ephemeral, record[1]),
            dh(ephemeral, record[5]),
        ]
        self.assertEqual([a.hex() for a in agreements], vector["agreements"])
        start = (
            bytes([vector["fresh"]]) + HEX(vector["initiator"]["certificate"]) + point(ephemeral)
        )
        start += record[4].to_bytes(4) + HEX(vector["kem_ciphertext"])
        self.assertEqual(start.hex(), vector["handshake"])
        agreed = b"".join([*agreements, HEX(vector["kem_shared"])])
        responder = ben.identity + record[1] + record[5] + record[6]
        mine = derive(start, agreed, responder, ephemeral, start[1:100])
        theirs = ben.accept(start, vector["now"])
        for session in mine, theirs:
            self.assertEqual(session.about["transcript"].hex(), vector["transcript"])
            self.assertEqual(session.root.hex(), vector["root"])
            self.assertEqual(session.about["inbox"], ann.points[1])
        self.assertEqual(mine.next_sending.hex(), vector["initiator_header"])
        self.assertEqual(theirs.next_sending.hex(), vector["responder_header"])
        self.assertEqual(H("tace session id 1", start)[:16].hex(), vector["session_id"])
        for at in (0, 1, 150, 203):  # flags, identity, signature, prekey id
            changed = start[:at] + bytes([start[at] ^ 2]) + start[at + 1 :]
            with self.assertRaises(Exception):  # noqa: B017
                ben.accept(changed, vector["now"])
        with self.assertRaises(AssertionError):
            ben.accept(start, vector["now"] + 61 * 86400)

    def test_ratchet_transcript(self) -> None:
        vector = vectors("e2ee/ratchet.json")
        drawn: list[bytes] = []

        def take(size: int) -> bytes:
            self.assertEqual(len(drawn[0]), size)
            return drawn.pop(0)

        root, prekey = HEX(vector["root"]), key_of(vector["prekey"])
        headers = HEX(vector["initiator_header"]), HEX(vector["responder_header"])
        own = key_from(HEX(vector["initiator_random"][0]))
        sides = {"i": Session(root, own, *headers), "r": Session(root, prekey, *reversed(headers))}
        first, ad = sides["i"], HEX(vector["associated_data"])
        first.sending, first.next_sending = first.step(point(prekey), first.next_sending)
        for side in sides.values():
            side.random = take
        refusals = {
            "KeyGone": (AssertionError, "key gone"),
            "NoHeaderKey": (LookupError, "no header key"),
            "Tampered": (InvalidTag, ""),
        }
        for step in vector["steps"]:
            drawn[:] = [HEX(r) for r in step.get("random", [])]
            side = sides[step.get("by") or step["to"]]
            if "send" in step:
                sealed = side.seal(HEX(step["plaintext"]), ad)
                self.assertEqual(sealed.hex(), step["message"])
            elif "opened" in step:
                self.assertEqual(side.open(HEX(step["message"]), ad).hex(), step["opened"])
            else:
                kind, why = refusals[step["refused"]]
                error = self.assertRaises(kind, side.open, HEX(step["message"]), ad)
                self.assertEqual(str(error), why)
            if "skipped_keys" in step:
                self.assertEqual(len(side.skipped), step["skipped_keys"])
            self.assertEqual(drawn, [])

    def test_messages_of_a_session(self) -> None:
        vector = vectors("e2ee/session.json")
        now, (ann, ben) = vector["now"], (device(vector[name]) for name in ("ann", "ben"))
        ephemeral, own = (key_from(HEX(r)) for r in vector["start_random"])
        start = b"\0" + HEX(vector["ann"]["certificate"]) + point(ephemeral)
        start += ben.number.to_bytes(4) + HEX(vector["kem_ciphertext"])
        agreed = dh(ann.keys[0], ben.prekeys[0]) + dh(ephemeral, ben.points[0], ben.prekeys[0])
        responder = ben.identity + ben.points[0] + b"".join(ben.prekeys)
        other = ben.identity + ben.points[0] + ben.points[1]
        session = derive(start, agreed + HEX(vector["kem_shared"]), responder, own, other)
        session.sending, session.next_sending = session.step(ben.prekeys[0], session.next_sending)
        ann.sessions, clients = [session], {"ann": ann, "ben": ben}
        for case in vector["messages"]:
            sender, inner = clients[case["by"]], HEX(case["inner"])
            receiver = ben if sender is ann else ann
            session = sender.sessions[0]
            session.random = partial(chosen, HEX(case["random"][0]))
            self.assertEqual(sender.inner(session, HEX(case["content"])).hex(), case["inner"])
            if not receiver.sessions:
                receiver.sessions = [receiver.accept(inner[1:1294], now)]
            if case["recipient_random"]:
                receiver.sessions[0].random = partial(chosen, HEX(case["recipient_random"][0]))
            session, contents = receiver.open(inner, now)
            self.assertEqual(packb(contents).hex(), case["content"])
            start = session.about["start"]
            self.assertEqual(H("tace session id 1", start)[:16].hex(), case["session_id"])
            self.assertEqual(H("tace consumed 1", inner)[:8].hex(), case["consumed_tag"])

    def test_sealed_envelope(self) -> None:
        vector = vectors("e2ee/sealed.json")
        client = Client(NOBODY, bytes(32))
        client.keys[1], client.network = key_of(vector["inbox_key"]), HEX(vector["network_id"])
        envelope = HEX(vector["envelope"])
        tombstone, inner = client.unseal(envelope)
        self.assertEqual(inner.hex(), vector["inner"])
        self.assertEqual(tombstone[:32].hex(), vector["envelope_id"])
        self.assertEqual(tombstone[36:52].hex(), vector["secret"])
        for header in vector["headers_that_do_not_open"].values():
            with self.assertRaises(InvalidTag):
                client.unseal(HEX(header) + envelope[78:])

    def test_frozen_identifiers(self) -> None:
        vector = vectors("wire/frozen.json")
        network = HEX(vector["network_id"])
        self.assertEqual(H("tace network 1", vector["network_name"].encode()), network)
        box, record, lease = vector["mailbox"], vector["user_record"], vector["lease"]
        client = Client(NOBODY, bytes(32))
        client.owner = key_from(HEX(record["seed"]))
        client.keys[2:] = [key_from(HEX(box["seed"]))] * 2
        client.know()
        self.assertEqual(client.points[2].hex(), box["public"])
        self.assertEqual([m.hex() for m in client.mailboxes], [box["requests"], box["contacts"]])
        self.assertEqual(client.identity.hex(), record["public"])
        verify(client.identity, "tace user record 1", HEX(record["hex"]))
        key = H("tace record 1", b"\2", client.identity, HEX(record["device"]))
        self.assertEqual(key.hex(), record["key"])
        client.network = network
        until = struct.pack(">Q", lease["expires_seconds"])
        origin = bytes([len(lease["origin"])]) + lease["origin"].encode()
        said = network + client.mailboxes[1] + HEX(vector["node"]["id"]) + origin
        said += HEX(lease["challenge"]) + until
        self.assertEqual((b"tace lease 1" + said).hex(), lease["signed"])
        verify(client.points[3], "tace lease 1", said + HEX(lease["signature"]))
        removal = HEX(vector["removal"]["hex"])
        verify(removal[:33], "tace removal 1", removal)
        case, envelope = vector["envelope"], HEX(vector["envelope"]["hex"])
        place, digest = envelope[1:69], sha256(envelope[78:]).digest()
        self.assertEqual(H("tace lock 1", HEX(case["secret"])), place[36:])
        self.assertEqual(H("tace message 1", place, digest).hex(), case["id"])
        self.assertEqual(stamp(HEX(case["id"]), case["stamp_target"]), envelope[69:78])
        whole = HEX(case["id"]) + place[32:36] + HEX(case["secret"]) + digest
        self.assertEqual(whole.hex(), vector["tombstone"]["hex"])

    def test_golden_messages_of_clients(self) -> None:
        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return HEX(value["bytes"])
            return [plain(v) for v in value] if isinstance(value, list) else value

        for case in vectors("wire/messages.json")["client"]:
            self.assertEqual(unpackb(HEX(case["hex"])), plain(case["fields"]), case["name"])
            self.assertEqual(packb(plain(case["fields"])).hex(), case["hex"], case["name"])


class NetworkTest(TestCase):
    timeout = 60

    def run_program(self, *arguments: str) -> Program:
        program = Program(*arguments)
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program

    async def tace(self, *arguments: str) -> list[Any]:
        """Run a command to its end, and give its lines of JSON."""
        program = self.run_program(*arguments, "--json")
        await program.ends(20)
        self.assertEqual(program.code, 0, program.output)
        return [json.loads(line) for line in program.output.splitlines()]

    async def test_mini_and_tace_talk(self) -> None:
        base = Path(self.mktemp()).absolute()
        base.mkdir()
        network = self.run_program(
            *("network", "--nodes", "2", "--base-dir", str(base / "net"), "--first-port", "0"),
            *("--set", "limits.requests_stamp_bits=8"),
        )
        await network.says("2 nodes form one ring", 30)
        nodes = json.loads((base / "net" / "network.json").read_text())["nodes"]
        urls = [node["url"] for node in nodes]
        ann, bob = (("--home", str(base / name)) for name in ("ann", "bob"))
        for home in ann, bob:
            await self.tace("identity", "new", *home, "--name", home[1][-3:].title())
        bob_key = read_link((await self.tace("identity", "show", *bob))[0]["link"])
        self.assertEqual(await self.tace("receive", *bob, "--node", urls[0]), [])

        mini = Client(recovery_text(token_bytes(16)), token_bytes(32))
        await mini.connect(urls[1], urls[0])
        for wire in mini.inbox, mini.outbox:
            self.addCleanup(getattr, wire, "is_closed")
            self.addCleanup(wire.sendClose)
        code = contact_code(mini.identity)

        async def heard() -> tuple[bytes, str]:
            return await mini.texts.get().addTimeout(10, reactor)

        async def confirmed(*names: bytes) -> None:
            receipts = [await mini.receipts.get().addTimeout(10, reactor) for _ in names]
            self.assertEqual(set(receipts), set(names))

        # A stranger's first message, its receipt, the answer within the session, and so on.
        name = await mini.say(bob_key, "hello from the mini client")
        (line,) = await self.tace("receive", *bob)
        self.assertEqual(line["text"], "hello from the mini client")
        self.assertEqual((line["id"], line["name"]), (name.hex(), "Mini"))
        await confirmed(name)
        for turn in range(2):
            await self.tace("send", *bob, code, f"answer {turn}")
            self.assertEqual(await heard(), (bob_key, f"answer {turn}"))
            names = [await mini.say(bob_key, f"{turn}, part {part}") for part in range(2)]
            lines = await self.tace("receive", *bob)
            self.assertEqual([line["id"] for line in lines], [n.hex() for n in names])
            await confirmed(*names)
        self.assertEqual(len(mini.sessions), 1)

        # The other way round: tace starts, and the mini client's receipt makes it say delivered.
        chat = self.run_program("chat", *ann, "--node", urls[0], code)
        chat.process.write(b"hello from tace\n")
        ann_key, text = await heard()
        self.assertEqual(text, "hello from tace")
        self.assertEqual(ann_key, read_link((await self.tace("identity", "show", *ann))[0]["link"]))
        await chat.says("✓✓ hello from tace", 10)
        name = await mini.say(ann_key, "welcome")
        await chat.says("Mini: welcome", 10)
        await confirmed(name)
        chat.process.write(b"a second line\n")
        self.assertEqual(await heard(), (ann_key, "a second line"))
        await chat.says("✓✓ a second line", 10)
        self.assertEqual(len(mini.sessions), 2)
