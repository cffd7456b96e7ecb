"""Makes the vector files in ``tests/vectors/e2ee`` that both client implementations read.

Everything follows from fixed seeds and from what was recorded once
(:mod:`tests.e2ee.vector_sources`). Bytes are in hexadecimal. Private keys stand as scalar and as
PKCS#8, which WebCrypto imports.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256

from tace.e2ee import content as contents
from tace.e2ee.agreement import AgreementKey
from tace.e2ee.content import Content, Text, encode_contents
from tace.e2ee.export import export_base, open_export, seal_export
from tace.e2ee.file import chunk_hash, seal_chunk
from tace.e2ee.inner import INNER_BYTES, Inner
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.link import BadLink, ContactLink
from tace.e2ee.order import HoldBack
from tace.e2ee.parts import split
from tace.e2ee.pqxdh import SessionKeys, initiate, session_id
from tace.e2ee.ratchet import (
    Chain,
    Ratchet,
    RatchetError,
    decrypt,
    encrypt,
    message_secrets,
    start_as_initiator,
    start_as_responder,
    step_root,
)
from tace.e2ee.records import DeviceList, ListedDevice
from tace.e2ee.recovery import BadRecoveryCode, RecoveryCode
from tace.e2ee.safety import SafetyNumber, fingerprint
from tace.e2ee.sealed import envelope_info, hpke_seal, unseal
from tace.e2ee.session import Opened, Pair, receive, send, start
from tace.e2ee.stamp import stamp_search
from tace.identity.keys import SigningKey
from tace.ids import KIND_CONTACTS, KIND_REQUESTS, mailbox_id
from tace.wire.objects import Envelope, lock_of
from tests.e2ee.vector_payloads import device_payloads, list_payloads
from tests.e2ee.vector_scripts import first_messages, pairs, skipping
from tests.e2ee.vector_sources import (
    EXPIRES_HOURS,
    NETWORK,
    NOW,
    Actor,
    Feed,
    Json,
    Recorded,
    agreement,
    encapsulation,
    same,
    seed,
    signing,
)
from tests.e2ee.vectors import FOLDER


def labels(recorded: Recorded) -> Json:
    """The domain labels, and what derives under them from plain inputs."""
    key, shared, salt = seed("key", 32), seed("shared", 32), seed("salt", 16)
    root, chain_key, header_key = step_root(key, shared)
    message_key, following = Chain(bytes(32), key, 0).next()
    message_cipher, nonce = message_secrets(key, salt)
    return {
        "labels": {
            name: value.decode() for name, value in vars(E2eeLabel).items() if name.isupper()
        },
        "ratchet_root": {
            "root": key.hex(),
            "shared": shared.hex(),
            "next_root": root.hex(),
            "chain_key": chain_key.hex(),
            "header_key": header_key.hex(),
        },
        "ratchet_chain": {
            "chain_key": key.hex(),
            "message_key": message_key.hex(),
            "next_chain_key": following.key.hex(),
        },
        "ratchet_message": {
            "message_key": key.hex(),
            "salt": salt.hex(),
            "key": message_cipher.hex(),
            "nonce": nonce.hex(),
        },
    }


def recovery(recorded: Recorded) -> Json:
    """Recovery codes, their text, the identity they restore; and texts that are refused."""
    codes = [RecoveryCode(secret) for secret in (bytes(16), b"\xff" * 16, seed("code", 16))]
    text = codes[2].text
    refused: list[Json] = []
    for wrong in (
        "",
        text[:-1],
        text + "0",
        "U" + text[1:],
        text[:3] + text[4] + text[3] + text[5:],
    ):
        try:
            RecoveryCode.parse(wrong)
        except BadRecoveryCode as error:
            refused.append({"text": wrong, "error": str(error)})
    return {
        "codes": [
            {
                "secret": code.secret.hex(),
                "text": code.text,
                "identity": signing(code.identity()),
            }
            for code in codes
        ],
        "same_as_the_third": [
            text.lower(),
            text.replace("-", ""),
            text.replace("-", " "),
            text.replace("0", "o").replace("1", "l"),
            f" {text}\n",
        ],
        "refused": refused,
    }


def devices(recorded: Recorded) -> Json:
    """Device keys, certificate, device list, device record."""
    ann = Actor("ann", recorded)
    listed = [ListedDevice(ann.keys.id, NOW // 3600), ListedDevice(b"\x22" * 32, NOW // 3600 + 1)]

    def device_list() -> DeviceList:
        return DeviceList.sign(ann.identity, listed, sequence=NOW + 1, expires_hours=EXPIRES_HOURS)

    encoded = recorded.take(
        "ann device list",
        lambda: device_list().record.encoded,
        lambda known: same(DeviceList.parse(known).record, device_list().record),
    )
    return {
        "identity": signing(ann.identity),
        "device_seed": ann.device_seed.hex(),
        "device_key": agreement(ann.keys.agreement),
        "inbox_key": agreement(ann.keys.inbox),
        "requests_key": signing(ann.keys.requests),
        "contacts_key": signing(ann.keys.contacts),
        "device_id": ann.keys.id.hex(),
        "requests_mailbox": ann.keys.requests_mailbox.hex(),
        "contacts_mailbox": ann.keys.contacts_mailbox.hex(),
        "certificate": {
            "expires_hours": EXPIRES_HOURS,
            "encoded": ann.certificate.encoded.hex(),
        },
        "device_list": {
            "sequence": NOW + 1,
            "expires_hours": EXPIRES_HOURS,
            "devices": [[each.device.hex(), each.added_hours] for each in listed],
            "key": DeviceList.parse(encoded).record.key.hex(),
            "encoded": encoded.hex(),
        },
        "device_record": {
            "sequence": NOW,
            "expires_hours": EXPIRES_HOURS,
            "prekey_id": ann.prekey.id,
            "prekey": ann.prekey.agreement.public.hex(),
            "kem_seed": ann.prekey_seeds.given[1].hex(),
            "kem_prekey": ann.prekey.kem_public.hex(),
            "key": ann.record.record.key.hex(),
            "encoded": ann.record.record.encoded.hex(),
        },
        "device_payloads": device_payloads(ann),
        "list_payloads": list_payloads(),
    }


def pqxdh(recorded: Recorded) -> Json:
    """A session start with all that goes into it and all that comes out."""
    ann, ben = Actor("ann", recorded), Actor("ben", recorded)
    kem_shared, kem_ciphertext = encapsulation(recorded, "pqxdh ciphertext", ben)
    source = Feed("pqxdh")
    handshake, keys = initiate(
        ann.own,
        ben.record,
        source,
        now=NOW,
        fresh=True,
        encapsulate=lambda public: (kem_shared, kem_ciphertext),
    )
    ephemeral = AgreementKey.from_seed(source.given[0])
    agreements = (
        ann.keys.agreement.agree(ben.record.prekey),
        ephemeral.agree(ben.record.device_key),
        ephemeral.agree(ben.record.prekey),
    )
    return {
        "now": NOW,
        "initiator": ann.secrets(),
        "responder": ben.secrets(),
        "responder_identity": ben.identity.public.hex(),
        "ephemeral": {"seed": source.given[0].hex(), **agreement(ephemeral)},
        "fresh": True,
        "kem_ciphertext": kem_ciphertext.hex(),
        "kem_shared": kem_shared.hex(),
        "agreements": [each.hex() for each in agreements],
        "handshake": handshake.encoded.hex(),
        "session_id": session_id(handshake.encoded).hex(),
        "transcript": keys.transcript.hex(),
        "root": keys.root.hex(),
        "initiator_header": keys.initiator_header.hex(),
        "responder_header": keys.responder_header.hex(),
    }


# What happens in the ratchet transcript: i and r send, then numbers of messages are delivered.
# 3 is skipped and comes late, 5 comes late after its chain has ended, 8 and 3 come twice, 17 comes
# changed before it comes right, 11 never comes.
_SCRIPT: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("i", (0,)),
    ("i", (1,)),
    ("r", (2,)),
    ("i", ()),
    ("i", (4, 3)),
    ("i", ()),
    ("i", (6,)),
    ("r", (7,)),
    ("i", (8, 5, 8, 3)),
    ("i", (9,)),
    ("r", ()),
    ("r", ()),
    ("r", (12, 10)),
    ("i", (13,)),
    ("r", (14,)),
    ("i", ()),
    ("i", (16, 15)),
    ("r", ("17 changed", 17)),
    ("i", (18,)),
    ("r", (19,)),
)


def ratchet(recorded: Recorded) -> Json:
    """A conversation of twenty messages with fixed keys and randomness."""
    keys = SessionKeys(
        seed("transcript", 32), seed("root", 32), seed("header i", 32), seed("header r", 32)
    )
    prekey = AgreementKey.from_seed(seed("prekey", 48))
    associated_data = keys.transcript + b"prefix"
    feeds = {"i": Feed("initiator"), "r": Feed("responder")}
    states: dict[str, Ratchet] = {
        "i": start_as_initiator(keys, prekey.public, feeds["i"]),
        "r": start_as_responder(keys, prekey),
    }
    started_with = feeds["i"].taken()
    sent: list[tuple[str, bytes]] = []
    steps: list[Json] = []
    for number, (sender, deliveries) in enumerate(_SCRIPT):
        before = states[sender].sending
        assert before is not None
        plaintext = f"message {number}".encode()
        states[sender], message = encrypt(states[sender], plaintext, associated_data, feeds[sender])
        message_key, _ = before.next()
        key, nonce = message_secrets(message_key, message[:16])
        sent.append((sender, message))
        steps.append(
            {
                "send": number,
                "by": sender,
                "plaintext": plaintext.hex(),
                "random": feeds[sender].taken(),
                "ratchet_key": states[sender].own_public.hex(),
                "previous_count": states[sender].previous_count,
                "number": before.count,
                "header_key": before.header_key.hex(),
                "message_key": message_key.hex(),
                "key": key.hex(),
                "nonce": nonce.hex(),
                "message": message.hex(),
            }
        )
        for delivery in deliveries:
            which = int(str(delivery).split()[0])
            by, message = sent[which]
            if "changed" in str(delivery):
                message = message[:-1] + bytes([message[-1] ^ 1])
            to = "r" if by == "i" else "i"
            step: Json = {"deliver": which, "to": to, "message": message.hex()}
            try:
                states[to], opened = decrypt(states[to], message, associated_data, feeds[to])
                step["opened"] = opened.hex()
            except RatchetError as error:
                step["refused"] = type(error).__name__
            step["random"] = feeds[to].taken()
            step["skipped_keys"] = states[to].skipped_count
            steps.append(step)
    return {
        "associated_data": associated_data.hex(),
        "root": keys.root.hex(),
        "initiator_header": keys.initiator_header.hex(),
        "responder_header": keys.responder_header.hex(),
        "prekey": agreement(prekey),
        "initiator_random": started_with,
        "steps": steps,
    }


def session(recorded: Recorded) -> Json:
    """Inner messages of one session: two with the handshake, the answer, one after it."""
    ann, ben = Actor("ann", recorded), Actor("ben", recorded)
    kem = encapsulation(recorded, "session ciphertext", ben)
    sources = {"ann": Feed("session ann"), "ben": Feed("session ben")}
    pairs = {
        "ann": Pair.with_device(ben.own.identity, ben.own.id),
        "ben": Pair.with_device(ann.own.identity, ann.own.id),
    }
    actors = {"ann": ann, "ben": ben}
    pairs["ann"] = start(
        pairs["ann"],
        ann.own,
        ben.record,
        sources["ann"],
        now=NOW,
        encapsulate=lambda public: kem,
    )
    started_with = sources["ann"].taken()
    messages: list[Json] = []
    for by, text in (("ann", "one"), ("ann", "two"), ("ben", "three"), ("ann", "four")):
        to = "ben" if by == "ann" else "ann"
        plaintext = encode_contents(
            [Content(seed(text, 16), len(messages) + 1, NOW * 1000, Text(text))]
        )
        pairs[by], inner = send(pairs[by], actors[by].own, plaintext, sources[by])
        taken = sources[by].taken()
        outcome = receive(
            pairs[to],
            actors[to].own,
            {actors[to].prekey.id: actors[to].prekey},
            Inner.parse(inner),
            sources[to],
            now=NOW,
        )
        assert isinstance(outcome, Opened)
        assert outcome.content == plaintext
        pairs[to] = outcome.pair
        messages.append(
            {
                "by": by,
                "content": plaintext.hex(),
                "random": taken,
                "recipient_random": sources[to].taken(),
                "session_id": outcome.session.hex(),
                "consumed_tag": Inner.parse(inner).consumed_tag.hex(),
                "inner": inner.hex(),
            }
        )
    return {
        "now": NOW,
        "identities": {name: actor.identity.public.hex() for name, actor in actors.items()},
        "ann": ann.secrets(),
        "ben": ben.secrets(),
        "kem_ciphertext": kem[1].hex(),
        "kem_shared": kem[0].hex(),
        "start_random": started_with,
        "messages": messages,
        "first_messages": first_messages(bytes.fromhex(messages[0]["inner"])),
    }


def sealed(recorded: Recorded) -> Json:
    """An envelope that opens, and changes under which it does not."""
    inbox = AgreementKey.from_seed(seed("inbox", 48))
    mailbox = mailbox_id(SigningKey.from_seed(seed("mailbox", 48)).public, KIND_CONTACTS)
    secret = seed("secret", 16)
    inner = b"\x01" + seed("inner", 100) + bytes(INNER_BYTES - 101)
    lock = lock_of(secret)
    info = envelope_info(NETWORK, mailbox, EXPIRES_HOURS, lock)

    def envelope(blob: bytes) -> Envelope:
        return Envelope.make(mailbox=mailbox, expires_hours=EXPIRES_HOURS, lock=lock, blob=blob)

    blob = recorded.take(
        "sealed blob",
        lambda: hpke_seal(inbox.public, info, secret + inner),
        lambda known: unseal(envelope(known), inbox=inbox, network_id=NETWORK).secret == secret,
    )
    made = envelope(blob)
    changed = {
        "expires one hour later": made.encoded[:33]
        + (EXPIRES_HOURS + 1).to_bytes(4)
        + made.encoded[37:],
        "another kind of mailbox": made.encoded[:32] + bytes([KIND_REQUESTS]) + made.encoded[33:],
        "another lock": made.encoded[:37] + lock_of(bytes(16)) + made.encoded[69:],
        "last bit of the blob": made.encoded[:-1] + bytes([made.encoded[-1] ^ 1]),
    }
    return {
        "network_id": NETWORK.hex(),
        "inbox_key": agreement(inbox),
        "mailbox": mailbox.hex(),
        "expires_hours": EXPIRES_HOURS,
        "secret": secret.hex(),
        "lock": lock.hex(),
        "info": info.hex(),
        "inner": inner.hex(),
        "envelope": made.encoded.hex(),
        "envelope_id": made.id.hex(),
        "headers_that_do_not_open": {
            name: encoded[:78].hex() for name, encoded in changed.items() if "blob" not in name
        },
    }


def stamp(recorded: Recorded) -> Json:
    """The first nonce from 0 that does."""
    cases = []
    for target in (0, 1, 8, 12, 16):
        message = seed(f"message {target}", 32)
        *_, nonce = stamp_search(message, target)
        cases.append({"id": message.hex(), "target": target, "nonce": nonce})
    return {"cases": cases}


def _file(name: str, size: int, count: int) -> contents.File:
    hashes = tuple(seed(f"chunk {index}", 32) for index in range(count))
    return contents.File(name, "image/webp", size, seed("file key", 32), EXPIRES_HOURS, hashes)


def content(recorded: Recorded) -> Json:
    """Contents and their bytes, parts, and bytes that are refused."""
    an_id, other_id = seed("id", 16), seed("other id", 16)
    mailbox = mailbox_id(SigningKey.from_seed(seed("mailbox", 48)).public, KIND_CONTACTS)
    bodies: list[tuple[Json, contents.Body]] = [
        ({"kind": 1, "text": "Grüße, 你好 🚲"}, Text("Grüße, 你好 🚲")),
        (
            {
                "kind": 2,
                "whole": an_id.hex(),
                "whole_kind": 1,
                "index": 0,
                "count": 2,
                "piece": "91a56162",
            },
            contents.Part(an_id, 1, 0, 2, bytes.fromhex("91a56162")),
        ),
        (
            {"kind": 3, "state": 1, "ids": [an_id.hex(), other_id.hex()]},
            contents.Receipt(1, (an_id, other_id)),
        ),
        ({"kind": 4, "unread": [bytes(32).hex()]}, contents.SessionRequest((bytes(32),))),
        ({"kind": 5, "name": "Ann"}, contents.Profile("Ann")),
        ({"kind": 6, "mailbox": mailbox.hex()}, contents.ContactsMailbox(mailbox)),
        ({"kind": 200, "unknown": "9101"}, contents.Unknown(200, b"\x91\x01")),
        (
            {"kind": 7, "target": other_id.hex(), "emoji": "👍🏽"},
            contents.Reaction(other_id, "👍🏽"),
        ),
        ({"kind": 7, "target": other_id.hex(), "emoji": ""}, contents.Reaction(other_id, "")),
        (
            {"kind": 8, "target": other_id.hex(), "text": "better"},
            contents.Edit(other_id, "better"),
        ),
        ({"kind": 9, "target": other_id.hex()}, contents.Delete(other_id)),
        *(
            (
                {
                    "kind": 10,
                    "name": each.name,
                    "type": each.type,
                    "size": each.size,
                    "key": each.key.hex(),
                    "expires_hours": each.expires_hours,
                    "hashes": [known.hex() for known in each.hashes],
                },
                each,
            )
            for each in (
                _file("Fahrrad 🚲.webp", contents.PIECE_BYTES, 1),
                _file("", 0, 1),
                _file("two.bin", contents.PIECE_BYTES + 1, 2),
            )
        ),
    ]
    cases = []
    for number, (said, body) in enumerate(bodies):
        reply_to = other_id if number == 0 else None
        one = Content(an_id, number, NOW * 1000 + number, body, reply_to)
        cases.append(
            {
                "id": an_id.hex(),
                "counter": number,
                "sent_ms": NOW * 1000 + number,
                "reply_to": reply_to.hex() if reply_to else None,
                "body": said,
                "encoded": encode_contents([one]).hex(),
            }
        )

    def one_of(body: contents.Body) -> str:
        return encode_contents([Content(an_id, 1, 2, body)]).hex()

    text = "A long story. " * 20
    parts = split(Text(text), 200, Feed("parts"))
    good = encode_contents([Content(an_id, 1, 2, Text("hi"))])
    return {
        "cases": cases,
        "parts": {
            "text": text,
            "room": 200,
            "random": [parts[0].whole.hex()],
            "bodies": [contents.encode_body(part).hex() for part in parts],
        },
        "newer": {
            "about": "trailing fields are ignored: this is the text 'hi'",
            "encoded": (b"\x91\x97" + good[2:-4] + b"\x92\xa2hi\xc0\xc3").hex(),
        },
        "refused": {
            "empty": "",
            "no contents": "90",
            "not an array": "c0",
            "id too short": good.replace(b"\xc4\x10" + an_id, b"\xc4\x0f" + an_id[:15]).hex(),
            "text is no string": good.replace(b"\xa2hi", b"\xc4\x02hi").hex(),
            "text is not UTF-8": good.replace(b"\xa2hi", b"\xa2\xff\xfe").hex(),
            "text ends within a character": good.replace(b"\xa2hi", b"\xa2h\xc3").hex(),
            "a counter that is a float": good.replace(
                an_id + b"\x01", an_id + b"\xca\x3f\x80\0\0"
            ).hex(),
            "cut off": good[:-1].hex(),
            "too many": (b"\x99" + good[1:] * 9).hex(),
            "a reaction of 33 bytes": one_of(contents.Reaction(other_id, "x" * 33)),
            "an edit without a text": one_of(contents.Unknown(8, b"\x91\xc4\x10" + other_id)),
            "a target that is too short": one_of(
                contents.Unknown(9, b"\x91\xc4\x0f" + other_id[:15])
            ),
            "a file of fewer chunks than its size": one_of(_file("f", contents.PIECE_BYTES + 1, 1)),
            "a file of more chunks than its size": one_of(_file("f", contents.PIECE_BYTES, 2)),
            "a file without a chunk": one_of(_file("f", 0, 0)),
        },
    }


def file(recorded: Recorded) -> Json:
    """Chunks of a file: the seal of each piece, by its hash."""
    key = seed("file key", 32)
    whole = bytes(at % 251 for at in range(contents.PIECE_BYTES + 100))
    count = contents.chunks_of(len(whole))
    chunks = []
    for index in range(count):
        piece = whole[index * contents.PIECE_BYTES : (index + 1) * contents.PIECE_BYTES]
        chunk = seal_chunk(key, index, count, piece)
        chunks.append({"index": index, "hash": chunk_hash(chunk).hex(), "end": chunk[-32:].hex()})
    return {
        "key": key.hex(),
        "about_file": "byte n of the file is n mod 251",
        "size": len(whole),
        "file_hash": sha256(whole).hexdigest(),
        "count": count,
        "chunks": chunks,
        "empty": chunk_hash(seal_chunk(key, 0, 1, b"")).hex(),
    }


def export(recorded: Recorded) -> Json:
    """An export file to open, and what opens none of it."""
    code = RecoveryCode(seed("export", 16))
    plaintext = "Ann, Ben 🚲".encode()
    base, source = export_base(code), Feed("export")
    salt, nonce = source(16), source(12)
    # Compressors differ in their bytes.
    sealed_file = recorded.take(
        "export file",
        lambda: seal_export(base, plaintext, Feed("export")),
        lambda known: known[14:42] == salt + nonce and open_export(base, known) == plaintext,
    )
    return {
        "code": code.text,
        "base": base.hex(),
        "salt": salt.hex(),
        "nonce": nonce.hex(),
        "plaintext": plaintext.hex(),
        "file": sealed_file.hex(),
        "another_code": RecoveryCode(seed("another", 16)).text,
        "not_an_export": {
            "empty": "",
            "another head": (b"tace export 2\n" + sealed_file[14:]).hex(),
            "nothing but a head": b"tace export 1\n".hex(),
        },
        "does_not_open": {
            "cut off": sealed_file[:-1].hex(),
            "another salt": (sealed_file[:14] + bytes(16) + sealed_file[30:]).hex(),
        },
    }


def order(recorded: Recorded) -> Json:
    """What is shown when: offers, deadlines, the mailbox caught up."""
    held: HoldBack[int] = HoldBack(1)
    events: list[Json] = []
    for at, event, counter in (
        (0.0, "offer", 1),
        (0.1, "offer", 3),
        (0.2, "offer", 0),
        (0.3, "offer", 2),
        (1.0, "offer", 6),
        (1.5, "offer", 8),
        (2.9, "due", 0),
        (3.0, "due", 0),
        (3.1, "offer", 5),
        (3.2, "caught up", 0),
        (3.3, "offer", 9),
    ):
        if event == "offer":
            shown = held.offer(counter, counter, at)
        else:
            shown = held.due(at) if event == "due" else held.caught_up()
        events.append(
            {
                "at": at,
                "event": event,
                **({"counter": counter} if event == "offer" else {}),
                "shown": shown,
                "deadline": held.deadline(),
            }
        )
    return {"next_counter": 1, "events": events}


def safety(recorded: Recorded) -> Json:
    """Safety numbers of pairs of identities."""
    identities = [SigningKey.from_seed(seed(name, 48)).public for name in ("ann", "ben", "eve")]
    cases = []
    for one, other in ((0, 1), (1, 0), (0, 2)):
        number = SafetyNumber.of(identities[one], identities[other])
        cases.append(
            {
                "one": identities[one].hex(),
                "other": identities[other].hex(),
                "digits": number.digits,
                "qr": number.qr.hex(),
            }
        )
    return {
        "fingerprints": {each.hex(): fingerprint(each).hex() for each in identities},
        "cases": cases,
    }


def links(recorded: Recorded) -> Json:
    """Contact links, how they may be written, and what is refused."""
    identity = SigningKey.from_seed(seed("ann", 48)).public
    link = ContactLink(identity, "https://node.example:8443")
    refused: list[Json] = []
    for wrong in (
        "",
        "https://node.example/",
        link.contact_code[:-1],
        link.contact_code + "0",
        link.contact_code[:10] + "u" + link.contact_code[11:],
        link.contact_code[:-1] + ("0" if link.contact_code[-1] != "0" else "2"),
    ):
        try:
            ContactLink.parse(wrong)
        except BadLink as error:
            refused.append({"text": wrong, "error": str(error)})
    return {
        "identity": identity.hex(),
        "origin": link.origin,
        "link": link.text,
        "code": link.contact_code,
        "same": [
            link.text.upper(),
            f"  {link.text}\n",
            f"https://node.example:8443/any/path#{link.contact_code}",
            link.contact_code[:20] + " " + link.contact_code[20:],
        ],
        "refused": refused,
    }


FILES: tuple[Callable[[Recorded], Json], ...] = (
    labels,
    recovery,
    devices,
    pqxdh,
    ratchet,
    skipping,
    session,
    pairs,
    sealed,
    stamp,
    content,
    order,
    safety,
    links,
    file,
    export,
)


def _text(about: str, made: Json) -> str:
    return json.dumps({"about": about, **made}, indent=1, ensure_ascii=False) + "\n"


def make(recorded: Recorded) -> dict[str, str]:
    """All files by name, as text; what was recorded among them."""
    made = {each.__name__: _text(str(each.__doc__).strip(), each(recorded)) for each in FILES}
    made["recorded"] = json.dumps(recorded.values, indent=1, sort_keys=True) + "\n"
    return made


def main() -> None:
    """Write the files."""
    folder = FOLDER / "e2ee"
    known = folder / "recorded.json"
    values = json.loads(known.read_text()) if known.exists() else {}
    for name, text in make(Recorded(values, may_draw=True)).items():
        (folder / f"{name}.json").write_text(text)
        print(f"{folder.name}/{name}.json: {len(text)} bytes")
