"""Vectors that play out: what one side of a ratchet receives, and the sessions of a pair."""

from __future__ import annotations

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.inner import Inner
from tace.e2ee.pqxdh import SessionKeys
from tace.e2ee.ratchet import (
    MAX_SKIP,
    Ratchet,
    RatchetError,
    decrypt,
    encrypt,
    start_as_initiator,
    start_as_responder,
)
from tace.e2ee.session import Duplicate, Opened, Pair, receive, send, start
from tests.e2ee.vector_sources import (
    EXPIRES_HOURS,
    NOW,
    Actor,
    Feed,
    Json,
    Recorded,
    agreement,
    encapsulation,
    seed,
)

_ASSOCIATED_DATA = b"prefix"
_DAY_SECONDS = 24 * 3600


class _Chains:
    """An initiator that sends many messages, of which the responder gets a few."""

    def __init__(self, name: str) -> None:
        self._keys = SessionKeys(
            bytes(32),
            *(seed(f"{name} {part}", 32) for part in ("root", "header i", "header r")),
        )
        self._prekey = AgreementKey.from_seed(seed(f"{name} prekey", 48))
        self._feed, self._taken = Feed(f"{name} initiator"), Feed(f"{name} responder")
        self._initiator = start_as_initiator(self._keys, self._prekey.public, self._feed)
        self._responder: Ratchet = start_as_responder(self._keys, self._prekey)
        self._sent: dict[tuple[int, int], bytes] = {}
        self._chain = 0
        self._events: list[Json] = []

    def send(self, count: int) -> None:
        """The initiator's next messages of its present chain."""
        for _ in range(count):
            chain = self._initiator.sending
            assert chain is not None
            plaintext = f"chain {self._chain} number {chain.count}".encode()
            self._initiator, message = encrypt(
                self._initiator, plaintext, _ASSOCIATED_DATA, self._feed
            )
            self._sent[self._chain, chain.count] = message

    def turn(self) -> None:
        """The responder answers, so that the initiator's next message begins another chain."""
        self._responder, message = encrypt(self._responder, b"turn", _ASSOCIATED_DATA, self._taken)
        self._events.append(
            {"send": b"turn".hex(), "random": self._taken.taken(), "message": message.hex()}
        )
        self._initiator, _ = decrypt(self._initiator, message, _ASSOCIATED_DATA, self._feed)
        self._chain += 1

    def deliver(self, chain: int, number: int) -> None:
        message = self._sent[chain, number]
        event: Json = {"chain": chain, "number": number, "message": message.hex()}
        try:
            self._responder, plaintext = decrypt(
                self._responder, message, _ASSOCIATED_DATA, self._taken
            )
            event["opened"] = plaintext.hex()
        except RatchetError as error:
            event["refused"] = type(error).__name__
        event["random"] = self._taken.taken()
        event["skipped_keys"] = self._responder.skipped_count
        self._events.append(event)

    def case(self, about: str) -> Json:
        return {
            "about": about,
            "root": self._keys.root.hex(),
            "initiator_header": self._keys.initiator_header.hex(),
            "responder_header": self._keys.responder_header.hex(),
            "prekey": agreement(self._prekey),
            "events": self._events,
        }


def skipping(recorded: Recorded) -> Json:
    """How far ahead a message may be, played by the responder: deliveries and its own answers."""
    one = _Chains("one chain")
    one.send(2 * MAX_SKIP + 2)
    for number in (MAX_SKIP + 1, MAX_SKIP, 0, 2 * MAX_SKIP + 1, 1, MAX_SKIP + 1):
        one.deliver(0, number)
    both, beyond = _Chains("two chains"), _Chains("old chain")
    for chains, old in ((both, MAX_SKIP + 1), (beyond, MAX_SKIP + 2)):
        chains.send(1)
        chains.deliver(0, 0)
        chains.send(old - 1)
        chains.turn()
        chains.send(MAX_SKIP + 1)
    both.deliver(1, MAX_SKIP)
    both.deliver(0, MAX_SKIP)
    both.deliver(1, 0)
    beyond.deliver(1, 0)
    beyond.deliver(0, 2)
    beyond.deliver(1, 0)
    return {
        "associated_data": _ASSOCIATED_DATA.hex(),
        "cases": [
            one.case(
                "in one chain 1,001 passed over are too many and 1,000 are not;"
                " beyond 1,000 kept keys the oldest goes"
            ),
            both.case(
                "1,000 left of the old chain and 1,000 passed over in the new one: each counts"
                " by itself, and of the 2,000 keys the newer 1,000 are kept"
            ),
            beyond.case(
                "1,001 left of the old chain are too many; when one of them has come they are not"
            ),
        ],
    }


class _Talk:
    """Two devices with their pair states; everything that happens is written down."""

    def __init__(self, name: str, recorded: Recorded) -> None:
        self._name, self._recorded = name, recorded
        self._actors = {who: Actor(who, recorded) for who in ("ann", "ben")}
        ann, ben = self._actors["ann"], self._actors["ben"]
        self._pairs = {
            "ann": Pair.with_device(ben.own.identity, ben.own.id),
            "ben": Pair.with_device(ann.own.identity, ann.own.id),
        }
        self._feeds = {who: Feed(f"{name} {who}") for who in self._actors}
        self._sent: list[tuple[str, bytes]] = []
        self._events: list[Json] = []

    def start(self, by: str, *, fresh: bool = False) -> None:
        other = self._actors["ben" if by == "ann" else "ann"]
        kem = encapsulation(self._recorded, f"{self._name} {len(self._events)}", other)
        self._pairs[by] = start(
            self._pairs[by],
            self._actors[by].own,
            other.record,
            self._feeds[by],
            now=NOW,
            fresh=fresh,
            encapsulate=lambda public: kem,
        )
        self._note(
            by,
            {
                "event": "start",
                "fresh": fresh,
                "kem_ciphertext": kem[1].hex(),
                "kem_shared": kem[0].hex(),
            },
        )

    def send(self, by: str) -> int:
        number = len(self._sent)
        content = f"{self._name} {number}".encode()
        self._pairs[by], inner = send(
            self._pairs[by], self._actors[by].own, content, self._feeds[by]
        )
        self._sent.append((by, inner))
        self._note(
            by,
            {"event": "send", "message": number, "content": content.hex(), "inner": inner.hex()},
        )
        return number

    def deliver(self, number: int) -> None:
        by, inner = self._sent[number]
        to = "ben" if by == "ann" else "ann"
        actor = self._actors[to]
        outcome = receive(
            self._pairs[to],
            actor.own,
            {actor.prekey.id: actor.prekey},
            Inner.parse(inner),
            self._feeds[to],
            now=NOW,
        )
        event: Json = {"event": "deliver", "message": number}
        if isinstance(outcome, Opened):
            self._pairs[to] = outcome.pair
            event |= {
                "opened": outcome.content.hex(),
                "session_id": outcome.session.hex(),
                "started": outcome.started,
                "fresh": outcome.fresh,
            }
        else:
            assert isinstance(outcome, Duplicate), "these scripts lose nothing"
            event["duplicate"] = True
        self._note(to, event)

    def say(self, by: str) -> int:
        """Send, and deliver at once."""
        number = self.send(by)
        self.deliver(number)
        return number

    def _note(self, who: str, event: Json) -> None:
        self._events.append(
            {
                "by": who,
                **event,
                "random": self._feeds[who].taken(),
                "sessions": [
                    {
                        "id": session.id.hex(),
                        "handshake_rides": bool(session.handshake),
                        "only_receives": session.only_receives,
                    }
                    for session in self._pairs[who].sessions
                ],
            }
        )

    def case(self, about: str) -> Json:
        return {"name": self._name, "about": about, "events": self._events}


def first_messages(first: bytes) -> list[Json]:
    """What a responder without a session says of a first message, changed and at other times.

    :param first: an inner message of type 2, opened in its own time where nothing is changed.
    """
    expires = EXPIRES_HOURS * 3600
    over, too_early = expires + 30 * _DAY_SECONDS + 1, expires - 31 * _DAY_SECONDS - 1

    def flipped(at: int) -> bytes:
        return bytes([first[at] ^ 1])

    cases: list[tuple[str, int, bytes, int, str]] = [
        ("as it was sent", 0, b"", NOW, "opened"),
        ("the last second of its certificate", 0, b"", over - 1, "opened"),
        ("a second later", 0, b"", over, "bad handshake"),
        ("a certificate of exactly 31 days", 0, b"", too_early + 1, "opened"),
        ("a certificate of a second more", 0, b"", too_early, "bad handshake"),
        ("another type", 0, b"\x03", NOW, "junk"),
        ("type 1, of nobody who has a session", 0, b"\x01", NOW, "no session"),
        ("a flag that is not known", 1, b"\x02", NOW, "bad handshake"),
        ("the flag fresh set by somebody else", 1, b"\x01", NOW, "tampered"),
        ("another expiry of the certificate", 104, flipped(104), NOW, "bad handshake"),
        ("another signature of the certificate", 168, flipped(168), NOW, "bad handshake"),
        ("an ephemeral key that is no compressed point", 169, b"\x04", NOW, "bad handshake"),
        ("another prekey", 205, flipped(205), NOW, "unknown prekey"),
        ("another prekey, when the certificate is over", 205, flipped(205), over, "unknown prekey"),
        ("another ML-KEM ciphertext", 206, flipped(206), NOW, "tampered"),
        ("another salt", 1294, flipped(1294), NOW, "tampered"),
        ("another sealed header", 1310, flipped(1310), NOW, "tampered"),
        ("another body", 1367, flipped(1367), NOW, "tampered"),
        ("another tag", 3454, flipped(3454), NOW, "tampered"),
    ]
    return [
        {"about": about, "at": at, "bytes": changed.hex(), "now": now, "outcome": outcome}
        for about, at, changed, now, outcome in cases
    ]


def pairs(recorded: Recorded) -> Json:
    """The sessions of a pair of devices: who sends on which, after each event at its device."""
    actors = {who: Actor(who, recorded) for who in ("ann", "ben")}
    return {
        "now": NOW,
        "identities": {who: actor.identity.public.hex() for who, actor in actors.items()},
        "ann": actors["ann"].secrets(),
        "ben": actors["ben"].secrets(),
        "cases": [
            _at_once(_Talk("at once", recorded), fresh=False).case(
                "both start at once: both go on in the session with the lower id"
            ),
            _at_once(_Talk("at once, one fresh", recorded), fresh=True).case(
                "both start at once, Ben freshly: both go on in his, whatever the ids"
            ),
            _second(_Talk("second session", recorded)).case(
                "Ann starts a second session: the first still opens, and sends again once"
                " something opened in it"
            ),
            _fresh(_Talk("fresh start", recorded)).case(
                "Ben starts freshly: what is late in the first session opens, and no side sends"
                " there again; a message shown twice is a duplicate"
            ),
        ],
    }


def _at_once(talk: _Talk, *, fresh: bool) -> _Talk:
    talk.start("ann")
    talk.start("ben", fresh=fresh)
    from_ann, from_ben = talk.send("ann"), talk.send("ben")
    talk.deliver(from_ann)
    talk.deliver(from_ben)
    for by in ("ann", "ben", "ann"):
        talk.say(by)
    return talk


def _second(talk: _Talk) -> _Talk:
    talk.start("ann")
    talk.say("ann")
    talk.say("ben")
    late = talk.send("ben")
    talk.start("ann")
    talk.say("ann")
    talk.deliver(late)
    for by in ("ann", "ben", "ann"):
        talk.say(by)
    return talk


def _fresh(talk: _Talk) -> _Talk:
    talk.start("ann")
    talk.say("ann")
    talk.say("ben")
    late = talk.send("ann")
    talk.start("ben", fresh=True)
    talk.say("ben")
    talk.deliver(late)
    talk.deliver(late)
    for by in ("ann", "ben"):
        talk.say(by)
    return talk
