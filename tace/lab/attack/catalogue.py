"""Every attack by its name, with the words that an unharmed node may answer it with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tace.lab.attack import clients, http, liars, objects, peers
from tace.lab.attack.ground import CUT, SERVED, Attack, Ground, Words


def _attack(
    name: str, run: Callable[[Ground], Awaitable[Words]], answers: str, *, size: int = 8
) -> Attack:
    does = (run.__doc__ or "").split("\n", 1)[0]
    return Attack(name, does, frozenset(answers.split()), run, size)


_ALL = (
    # -- strangers at the peer port
    _attack("peer-noise", peers.noise, CUT),
    _attack("peer-noise-in-tls", peers.noise_in_tls, "protocol-error"),
    _attack("peer-half-frames", peers.half_frames, CUT),
    _attack("peer-oversized", peers.oversized, "protocol-error"),
    _attack("peer-nested", peers.nested, "protocol-error"),
    _attack("peer-slow-handshakes", peers.slow_handshakes, CUT),
    _attack("peer-silence", peers.silence, CUT, size=300),
    _attack("peer-wrong-key", peers.wrong_key, "bad-link-proof"),
    _attack("peer-replayed-hello", peers.replayed_hello, "bad-link-proof wrong-node"),
    _attack("peer-replayed-frames", peers.replayed_frames, "protocol-error"),
    _attack("peer-replayed-lease", peers.replayed_lease, "unauthorized forged"),
    _attack("peer-forged-records", peers.forged_records, f"forged {CUT}"),
    _attack("peer-unasked-answers", peers.unasked_answers, "protocol-error"),
    _attack("peer-never-reads", peers.never_reads, CUT, size=64),
    # -- nodes that lie
    _attack("peer-ring-lies", liars.ring_lies, f"{liars.NOT_ADOPTED} {liars.NOT_ASKED}", size=3),
    _attack("peer-circular-redirects", liars.circular_redirects, liars.GIVEN_UP),
    # -- objects
    _attack("expired", objects.expired, "expired"),
    _attack("far-ahead", objects.far_ahead, "too-far-ahead"),
    _attack("low-stamps", objects.low_stamps, "stamp-required"),
    _attack("tombstone-flood", objects.tombstone_flood, "stored quota full rate-limited", size=600),
    _attack("old-records", objects.old_records, "stale-sequence"),
    _attack("large-records", objects.large_records, "protocol-error bad-record link-lost"),
    _attack("junk", objects.junk, "removed", size=3),
    _attack("quota", objects.quota, "stored partial quota full", size=64),
    # -- clients
    _attack("client-noise", clients.noise, "protocol-error"),
    _attack("client-nested", clients.nested, "protocol-error"),
    _attack("client-oversized", clients.oversized, "too-large"),
    _attack("client-node-words", clients.node_words, "protocol-error"),
    _attack("client-replayed-lease", clients.replayed_lease, "unauthorized"),
    _attack(
        "client-never-acks",
        clients.never_acks,
        f"stored partial quota full {SERVED} {clients.WINDOW_KEPT}",
        size=128,
    ),
    _attack("client-silence", clients.silence, f"{SERVED} {CUT}", size=64),
    # -- raw bytes at the client port
    _attack("http-noise", http.noise, f"http-400 {CUT}", size=10),
    _attack("http-large-bodies", http.large_bodies, f"http-400 {CUT}"),
    _attack("http-slow-headers", http.slow_headers, CUT),
    _attack("http-slow-body", http.slow_body, CUT),
    _attack("http-silence", http.silence, CUT, size=300),
    _attack("http-nested", http.nested, "http-400"),
    _attack("http-guessed-tokens", http.guessed_tokens, "http-401"),
)

ATTACKS: dict[str, Attack] = {attack.name: attack for attack in _ALL}
