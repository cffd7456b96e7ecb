"""docs/limits.md: every bound of a node, its size, and what happens beyond it.

A bound is a numeric row of the table of settings (all but those in ``NO_BOUND``), or a constant of
the node's code: each public one that begins with ``MAX_``, and those in ``ALSO``. What it bounds
is said where it stands, by the setting's meaning or by the string below the constant; what happens
beyond it is said here, in ``BEYOND``.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tace.config.sections import TABLE

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "limits.md"

NO_BOUND = {
    "node.capacity",
    "links.ping_after_seconds",
    "ring.replicas",
    "ring.positions",
    "ring.stabilize_after_event_seconds",
    "ring.stabilize_quiet_seconds",
    "ring.stabilize_slower",
    "ring.stabilize_stale_share",
    "ring.repair_after_seconds",
    "ring.forget_after_seconds",
    "ring.reconcile_seconds",
}
"""Settings with a number that hold nothing back."""

OTHER_PROGRAMS = {"cli", "client", "collector", "e2ee", "lab", "simulation", "web"}
"""Rooms that are no part of a node."""

GROUPS = {
    "Clients": ("gateway", "limits", "tace.gateway", "tace.delivery", "tace.limits"),
    "Links between nodes": ("links", "tace.links"),
    "The ring": ("ring", "tace.ring"),
    "Mailboxes and repair": ("tace.mailbox", "tace.seams"),
    "Store": ("storage", "tace.storage"),
    "What is on the wire": ("tace.wire", "tace.identity", "tace.ids"),
    "The node as a whole": ("node", "observe", "tace"),
}
"""Heading -> sections of settings and packages of the code; the first that fits."""

ALSO = {
    "tace.delivery.blobs.DEADLINE_SECONDS",
    "tace.delivery.feed.COMPLETE_WITHIN_SECONDS",
    "tace.delivery.quorum.DEADLINE_SECONDS",
    "tace.gateway.channel.OPENING_SECONDS",
    "tace.gateway.channel.REQUEST_SECONDS",
    "tace.gateway.door.CONNECTIONS_PER_CLIENT",
    "tace.gateway.pace.PATIENCE_SECONDS",
    "tace.gateway.polling.EXCHANGE_SECONDS",
    "tace.gateway.polling.IDLE_SECONDS",
    "tace.gateway.polling.POLL_SECONDS",
    "tace.gateway.rates.BURST_SECONDS",
    "tace.gateway.rates.CONNECTION_SHARE",
    "tace.gateway.reading_pace.STALLED_SECONDS",
    "tace.gateway.session.FIRST_COMMAND_SECONDS",
    "tace.gateway.session.HOLD_SECONDS",
    "tace.gateway.site.IDLE_SECONDS",
    "tace.gateway.websocket.CLOSING_SECONDS",
    "tace.gateway.websocket.HANDSHAKE_SECONDS",
    "tace.gateway.websocket.PING_SECONDS",
    "tace.gateway.websocket.PONG_SECONDS",
    "tace.identity.mailbox_proof.REPLICA_LEASE_SECONDS",
    "tace.links.connection.CLOSING_SECONDS",
    "tace.links.entrance.ACCEPT_BURST_SECONDS",
    "tace.links.names.LOOK_UP_SECONDS",
    "tace.links.pool.RETIRE_SECONDS",
    "tace.links.pool.SHORT_WAIT_SECONDS",
    "tace.links.rates.BURST_SECONDS",
    "tace.links.reading.STALLED_SECONDS",
    "tace.mailbox.blob_repair.FETCH_TIMEOUT_SECONDS",
    "tace.mailbox.reconcile.COMPARE_TIMEOUT_SECONDS",
    "tace.mailbox.replica.HOLD_SECONDS",
    "tace.mailbox.rounds.FIRST_SECONDS",
    "tace.mailbox.rounds.STALLED_SECONDS",
    "tace.node.DRAIN_SECONDS",
    "tace.seams.HINT_SECONDS",
    "tace.storage.rules.TOMBSTONES_AN_ITEM",
    "tace.tap.STOP_SECONDS",
    "tace.wire.objects.CHUNK_BYTES",
}
"""Constants that are bounds, though their names do not begin with ``MAX_``."""

BEYOND = {
    "tace.ring.acquaintances.MAX_TABLES": "the one used longest ago is built when it is needed",
    "tace.ring.placement.MAX_CHANGES": "everything is worked out anew",
    "tace.ring.merge.MAX_WAITING": "the node is asked when its turn comes",
    "tace.ring.merge.MAX_UNTOLD": "others find it by themselves",
    "tace.ring.merge.MAX_PEERS_KNOWN": "the one that spoke longest ago is forgotten",
    "tace.wire.peer.MAX_FOUND_RECORDS": "farther ones are left out",
    "tace.wire.peer.MAX_HOPS": "a protocol error",
    "tace.wire.peer.MAX_OFFERED_BLOBS": "a protocol error; the sender offers them in turn",
    # -- clients -------------------------------------------------------------------------------
    "gateway.accepts_per_second": "closed before TLS",
    "gateway.max_connections": "503 with `Retry-After`, `too-many`; connections: closed",
    "gateway.max_connections_per_address": "503 with `Retry-After`, `too-many`; connections: "
    "closed",
    "gateway.window": "nothing is pushed until something is released",
    "limits.acks_per_second": "waits 3 s at most, then `rate-limited`",
    "limits.blobs_per_second": "a fetch waits 3 s at most; then, and at once for a put, "
    "`rate-limited`",
    "limits.commands_per_second": "`rate-limited`, unread; the connection is not read for a while",
    "limits.leases_per_second": "waits 3 s at most, then `rate-limited`",
    "limits.lookups_per_second": "waits 3 s at most, then `rate-limited`",
    "limits.message_lifetime_max_days": "`too-far-ahead`",
    "limits.records_per_second": "waits 3 s at most, then `rate-limited`",
    "limits.requests_stamp_bits": "with fewer: `stamp-required`",
    "limits.sends_in_flight_per_connection": "`too-many`",
    "limits.sends_per_second": "`rate-limited` for each envelope",
    "limits.sessions_per_second": "429 with `Retry-After`, `rate-limited`",
    "tace.delivery.blobs.DEADLINE_SECONDS": "`not-stored`, or what is known by then",
    "tace.delivery.blobs.MAX_TRANSFERS": "`too-many`",
    "tace.delivery.feed.COMPLETE_WITHIN_SECONDS": "`CaughtUp` with `complete = false`",
    "tace.delivery.feed.MAX_PAGES": "what lies behind comes with the next watch",
    "tace.delivery.feed.MAX_READERS": "`too-many`",
    "tace.delivery.inbox.MAX_BODY_WAIT_SECONDS": "the body is fetched",
    "tace.delivery.inbox.MAX_NAMED": "listed once more when half is dealt with",
    "tace.delivery.inbox.MAX_NAMES": "each client has as many as its window, and more listings",
    "tace.delivery.inbox.MAX_RELEASED": "the oldest is forgotten, and may be pushed again",
    "tace.delivery.quorum.DEADLINE_SECONDS": "`partial` or `not-stored`",
    "tace.delivery.quorum.MAX_REDIRECTS": "counts as a refusal of that replica",
    "tace.delivery.quorum.MAX_UNDECIDED": "`too-many`",
    "tace.gateway.channel.OPENING_SECONDS": "closed",
    "tace.gateway.channel.REQUEST_SECONDS": "closed; over HTTP/2 the stream is reset",
    "tace.gateway.door.CONNECTIONS_PER_CLIENT": "closed before TLS",
    "tace.gateway.door.MAX_SPARE_CONNECTIONS": "closed before TLS",
    "tace.gateway.frames.MAX_BODY_BYTES": "400",
    "tace.gateway.frames.MAX_FRAMES": "400, `protocol-error`; the session has ended",
    "tace.gateway.knowledge.MAX_NETWORK_RECORDS": "the others are left out",
    "tace.gateway.pace.PATIENCE_SECONDS": "`rate-limited`",
    "tace.gateway.polling.EXCHANGE_SECONDS": "answered with what is there; the rest by poll",
    "tace.gateway.polling.IDLE_SECONDS": "the session has ended: 401",
    "tace.gateway.polling.MAX_BATCH_BYTES": "the next poll brings the rest",
    "tace.gateway.polling.MAX_EXCHANGES": "503, `too-many`",
    "tace.gateway.polling.MAX_LATE_BYTES": "`too-many` in the place of an answer",
    "tace.gateway.polling.POLL_SECONDS": "answered without frames",
    "tace.gateway.rates.BURST_SECONDS": "as beyond the rate",
    "tace.gateway.rates.CONNECTION_SHARE": "as beyond the rate",
    "tace.gateway.rates.MAX_ADDRESSES": "the one that asked longest ago is forgotten",
    "tace.gateway.rates.MAX_MAILBOXES_REMEMBERED": "the one that asked longest ago is forgotten",
    "tace.gateway.reading_pace.STALLED_SECONDS": "cut off, counted as `timed-out`",
    "tace.gateway.requests.MAX_BODIES_BYTES": "400",
    "tace.gateway.requests.MAX_BODIES_SHARE": "400",
    "tace.gateway.requests.MAX_UNSENT_BYTES": "503, `too-many`",
    "tace.gateway.services.MAX_BLOBS_OF_ADDRESS": "`too-many`",
    "tace.gateway.session.FIRST_COMMAND_SECONDS": "`timed-out`, closed",
    "tace.gateway.session.HOLD_SECONDS": "read again",
    "tace.gateway.session.MAX_BLOBS_UNDER_WAY": "`too-many`",
    "tace.gateway.site.IDLE_SECONDS": "closed",
    "tace.gateway.websocket.CLOSING_SECONDS": "cut off",
    "tace.gateway.websocket.HANDSHAKE_SECONDS": "cut off",
    "tace.gateway.websocket.MAX_FRAMES": "closed: 1009",
    "tace.gateway.websocket.PING_SECONDS": "pinged",
    "tace.gateway.websocket.PONG_SECONDS": "cut off",
    "tace.limits.notices.MAX_GROUPS": "the one that was new longest ago is forgotten",
    # -- links ---------------------------------------------------------------------------------
    "links.accepts_per_second": "cut off before TLS",
    "links.call_timeout_seconds": "`timed-out`",
    "links.hello_timeout_seconds": "cut off",
    "links.lost_after_seconds": "the link counts as lost",
    "links.max_links": "one that nobody needs is closed; without such a one the newcomer, with "
    "`too-many`",
    "links.max_links_per_address": "one of them that nobody needs is closed; without such a one "
    "the newcomer, with `too-many`",
    "links.max_request_bytes_per_second": "`rate-limited`; then the link is not read for a while",
    "links.max_requests_in_flight": "`too-many`",
    "links.max_requests_per_second": "`rate-limited`; then the link is not read for a while",
    "links.max_unproved": "one of the address with the most is cut off",
    "links.max_unsent_bytes": "requests fail at once",
    "tace.links.backoff.MAX_REMEMBERED": "the oldest is forgotten",
    "tace.links.connection.CLOSING_SECONDS": "cut off",
    "tace.links.entrance.ACCEPT_BURST_SECONDS": "as beyond the rate",
    "tace.links.entrance.MAX_ADDRESSES": "the one that came longest ago is forgotten",
    "tace.links.handshake.MAX_HANDSHAKE_BYTES": "cut off",
    "tace.links.pool.MAX_DIALS": "the call fails at once",
    "tace.links.pool.MAX_SPARE_PER_NODE": "the oldest is closed",
    "tace.links.pool.RETIRE_SECONDS": "closed",
    "tace.links.pool.SHORT_WAIT_SECONDS": "the call fails at once",
    "tace.links.rates.BURST_SECONDS": "as beyond the rate",
    "tace.links.rates.MAX_FORGERIES": "`forged`, the link ends",
    "tace.links.rates.MAX_REMEMBERED": "the oldest is forgotten",
    "tace.links.reading.MAX_ANSWERS_WAITING_BYTES": "no more of its requests are read",
    "tace.links.reading.MAX_SLOW_READERS": "not read from until they have read",
    "tace.links.reading.STALLED_SECONDS": "cut off",
    # -- ring ----------------------------------------------------------------------------------
    "ring.away_seconds": "the node counts as gone",
    "ring.successors": "further ones are left out",
    "ring.table_capacity": "others leave, or further ones stay outside; lookups go by fingers",
    "tace.ring.acquaintances.MAX_KEYS": "the one used longest ago is looked up anew",
    "tace.ring.lookup.MAX_PASSED_ON": "`too-many`",
    "tace.ring.lookup.MAX_SEARCHES": "placed by what is known; replicas redirect",
    "tace.ring.lookup.MAX_STEPS": "the path has led to nothing; the other two go on",
    "tace.ring.placement.MAX_WALKED_PER_REPLICA": "those beyond are no candidates",
    "tace.ring.placement.MAX_GROUPS_REMEMBERED": "the least used goes, and is reckoned anew",
    "tace.ring.anchors.MAX_WATCHED": "those met later become no anchors",
    "tace.ring.failures.MAX_TOLD": "the oldest is forgotten",
    "tace.ring.failures.MAX_LINE": "the rest is cut off",
    "tace.ring.bootstrap.MAX_WAVES": "the node starts with whom it has found, and looks on",
    "tace.ring.contacts.MAX_NAMED": "the rest is passed over",
    "tace.ring.contacts.MAX_REMEMBERED": "those heard longest ago are not asked",
    "tace.seams.MAX_ANCHORS": "those that came later are remembered as other peers are",
    "tace.seams.MAX_KNOWN_DEAD": "the longest dead is forgotten",
    "tace.seams.MAX_KNOWN_SEEDS": "the one met longest ago is forgotten, and trusted anew",
    "tace.links.names.MAX_SERVICES": "the rest is passed over",
    "tace.links.names.MAX_TEXTS": "the rest is passed over",
    "tace.links.names.MAX_TEXT_BYTES": "it says nothing",
    "tace.links.names.MAX_TARGETS": "the rest is passed over",
    "tace.links.names.MAX_ADDRESSES": "the rest is passed over",
    "tace.links.names.MAX_SERVERS": "the rest is not asked",
    "tace.links.names.MAX_RESOLV_CONF_BYTES": "what comes after is not read",
    "tace.links.names.LOOK_UP_SECONDS": "it has failed, and is tried again later",
    "tace.ring.presence.MAX_IN_BURST": "the oldest are forgotten; it is a burst all the same",
    "tace.ring.rumours.MAX_RUMOURS": "not passed on; it is heard from others",
    "tace.ring.rumours.MAX_KNOWING": "told a record that it has; nothing comes of that",
    "tace.core.MAX_TALKERS": "the one that asked longest ago is forgotten",
    "tace.links.health.MAX_STRETCH": "no further stretched",
    "tace.links.pool.MAX_SILENCED": "the oldest is forgotten",
    "tace.ring.hearsay.MAX_TO_CHECK": "not looked for",
    "tace.ring.liveness.MAX_UNDER_WAY": "looked for when they fail again",
    "tace.ring.liveness.MAX_VOUCHED": "the oldest is forgotten",
    "tace.ring.suspicion.MAX_ACCUSED": "the oldest are forgotten",
    "tace.ring.suspicion.MAX_ACCUSERS": "further ones do not count",
    "tace.ring.maintenance.MAX_HASTY_ROUNDS": "the next round comes at the quiet pace",
    "tace.ring.maintenance.MAX_STEPS_PER_ROUND": "the next round goes on",
    "tace.ring.membership.MAX_AHEAD_SECONDS": "the record is refused",
    "tace.ring.membership.MAX_POSITIONS_ASKED": "`not-replica`",
    "tace.ring.pointers.MAX_LIST_ENTRIES": "further places are left out",
    "tace.ring.presence.MAX_AWAY_SECONDS": "the node counts as gone",
    # -- mailboxes -----------------------------------------------------------------------------
    "tace.mailbox.blob_repair.FETCH_TIMEOUT_SECONDS": "asked for again in a later round",
    "tace.mailbox.blob_repair.MAX_FRUITLESS": "the pull ends",
    "tace.mailbox.blob_repair.MAX_REFUSED_REMEMBERED": "the oldest is forgotten",
    "tace.mailbox.blobs.MAX_UNDER_WAY": "`too-many`",
    "tace.mailbox.comparison.MAX_LEVELS": "the comparison ends, and is tried again later",
    "tace.mailbox.comparison.MAX_PENDING": "the comparison ends, and is tried again later",
    "tace.mailbox.comparison.MAX_ROUNDS": "the comparison ends, and is tried again later",
    "tace.mailbox.reconcile.COMPARE_TIMEOUT_SECONDS": "the comparison ends, and is tried again "
    "later",
    "tace.mailbox.repair.MAX_FRUITLESS": "the pull ends",
    "tace.mailbox.repair.MAX_REFUSED_REMEMBERED": "the oldest is forgotten",
    "tace.mailbox.replica.HOLD_SECONDS": "offered again",
    "tace.mailbox.replica.MAX_HELD": "dropped; the next renewal of the watch lists it",
    "tace.mailbox.replica.MAX_WATCHES": "`too-many`; the watch is made elsewhere",
    "tace.mailbox.replica.MAX_WATCHES_OF_NODE": "`too-many`; the watch is made elsewhere",
    "tace.mailbox.rounds.FIRST_SECONDS": "goes on, and says that it is partial",
    "tace.mailbox.rounds.MAX_AT_ONCE": "waits for its turn",
    "tace.mailbox.rounds.MAX_INTERVAL_FACTOR": "asked all the same",
    "tace.mailbox.rounds.MAX_SECONDS": "ended; what it has brought is kept",
    "tace.mailbox.rounds.STALLED_SECONDS": "ended, and tried again later",
    "tace.mailbox.departure.MAX_AT_ONCE": "the others have their turn after them",
    "tace.mailbox.departure.MAX_LACKING": "the next look goes on there",
    "tace.mailbox.departure.MAX_OFFERED": "the oldest is forgotten, and offered again",
    "tace.mailbox.departure.MAX_SETTLED": "the oldest is forgotten, and offered again",
    "tace.mailbox.displaced.MAX_LATE": "everything is offered again",
    "tace.mailbox.displaced.MAX_REST_SECONDS": "looks again",
    "tace.mailbox.displaced.MAX_SPANS": "one is forgotten, and offered again",
    "tace.mailbox.leave.MAX_WATCHERS": "`cannot-leave` to one more; the leaving goes on",
    "tace.observe.control.MAX_BODY_BYTES": "cut",
    "tace.observe.control.MAX_PATH_BYTES": "the node runs without a control socket, and logs so",
    "tace.mailbox.surplus.MAX_ITEMS_A_ROUND": "the next round goes on there",
    "tace.mailbox.surplus.MAX_PAGES": "what lies behind stays",
    "tace.mailbox.surplus.MAX_SETS": "the oldest is forgotten, and waits anew",
    "tace.seams.HINT_SECONDS": "the note goes, the copy stays",
    "tace.seams.MAX_HINTS": "the oldest goes; repair takes care",
    # -- store ---------------------------------------------------------------------------------
    "storage.mailbox_max_items": "`quota`",
    "storage.max_bytes": "`full`, also in the node's record; acks and removals go on",
    "storage.min_free_bytes": "`full`, also in the node's record; acks and removals go on",
    "storage.requests_mailbox_max_items": "`quota`",
    "tace.storage.rules.MAX_PEERS": "the one heard of longest ago goes",
    "tace.storage.rules.TOMBSTONES_AN_ITEM": "`quota`",
    "tace.storage.sqlite.MAX_MENDS": "left as it is, and said so",
    "tace.storage.sqlite.MAX_OBJECTS_A_COMMIT": "the next commit takes the rest",
    "tace.storage.sqlite.MAX_OBJECTS_WAITING": "fails at once",
    "tace.storage.sqlite.MAX_READS_A_TURN": "the next turn takes the rest",
    "tace.storage.sqlite.MAX_READS_WAITING": "fails at once",
    "tace.storage.writes.envelopes.MAX_COUNTED_MAILBOXES": "forgotten, and counted anew",
    "tace.storage.sums.MAX_HOURS": "the ones that came first are forgotten",
    "tace.storage.sums.MAX_LEAF_ITEMS": "read again, and kept as several",
    "tace.storage.writes.sums.MAX_MOVED": "the sums are forgotten, and learned anew",
    "tace.storage.writes.room.MAX_LOG_BYTES": "written back to the database",
    "tace.storage.writes.room.MAX_RESERVE_PAGES": "`full`",
    # -- wire ----------------------------------------------------------------------------------
    "tace.ids.MAX_POSITIONS_REMEMBERED": "the least used goes, and is reckoned anew",
    "tace.identity.mailbox_proof.MAX_ORIGIN_BYTES": "`unauthorized`",
    "tace.identity.mailbox_proof.MAX_REMOVED": "`malformed`",
    "tace.identity.mailbox_proof.REPLICA_LEASE_SECONDS": "`unauthorized`",
    "tace.identity.node_record.MAX_RECORD_BYTES": "`bad-record`",
    "tace.identity.user_record.MAX_LIFETIME_DAYS": "`too-far-ahead`",
    "tace.identity.user_record.MAX_USER_RECORD_BYTES": "`protocol-error`",
    "tace.wire.client.MAX_CLIENT_MESSAGE_BYTES": "closed: 1009, `protocol-error`",
    "tace.wire.client.MAX_MAILBOXES": "`too-many`",
    "tace.wire.fields.MAX_ENVELOPES": "`protocol-error`",
    "tace.wire.fields.MAX_LISTED": "`protocol-error`",
    "tace.wire.fields.MAX_REDIRECT_RECORDS": "`protocol-error`",
    "tace.wire.fields.MAX_TOMBSTONES": "`protocol-error`",
    "tace.wire.framing.MAX_BODY_BYTES": "`protocol-error`, closed",
    "tace.wire.framing.MAX_BODY_BYTES_BEFORE_HELLO": "`protocol-error`, closed",
    "tace.wire.objects.CHUNK_BYTES": "`protocol-error`",
    "tace.wire.ranges.MAX_PARTS": "`protocol-error`",
    "tace.wire.ranges.MAX_RANGES": "`protocol-error`",
    "tace.wire.objects.MAX_STAMP_TARGET": "clients leave; the wish is not passed on",
    # -- the node ------------------------------------------------------------------------------
    "tace.core.MAX_REPAIR_BYTES_PER_SECOND": "repair waits",
    "tace.core.MAX_ASKERS": "the one that asked longest ago is forgotten",
    "tace.node.DRAIN_SECONDS": "the connections are closed with `draining`",
    "tace.tap.STOP_SECONDS": "the process ends",
}
"""The answer to what goes beyond a bound, by its dotted name."""

HEAD = """\
# Limits of a node

Every bound of a node, and what happens beyond it. This page is made by `scripts/make-limits` from
the table of settings and from the constants of the code; a test fails when it is out of date.

A bound with a section in `[brackets]` is a setting (`conf/node.toml`); the others are constants of
the code, at the module that is named. A word in `this type` is a refusal's word on the wire
([protocol/client.md](protocol/client.md), section 7; [protocol/peer.md](protocol/peer.md)). "From
one address" means one IPv4 address, or one /56 of IPv6.

Refusals are counted at `/metrics`: of clients in `tace_client_refusals_total{code}` and, where one
did not keep to the protocol or its bounds, in `tace_client_misconduct_total{code}`; of nodes in
`tace_links_refused_total{code}`. Misconduct is also a line in the log, one for each address in 10 s
and one a second for all of them together, so that nobody can fill a disk with it.
"""


class Bound(NamedTuple):
    """One row.

    :param name: dotted: ``section.key`` of a setting, ``package.module.NAME`` of a constant.
    :param meaning: what it bounds; empty where nobody says so.
    """

    name: str
    value: int | float
    meaning: str

    @property
    def is_setting(self) -> bool:
        return not self.name.startswith("tace.")

    @property
    def shown_name(self) -> str:
        place, _, name = self.name.rpartition(".")
        if self.is_setting:
            return f"`[{place}] {name}`"
        return f"`{name}`<br>{place.removeprefix('tace.')}"

    @property
    def unit(self) -> str:
        name = self.name.rpartition(".")[2].lower()
        for ending, unit in _UNITS:
            if name.endswith(ending):
                return unit
        return ""


_UNITS = (
    ("bytes_per_second", "bytes/s"),
    ("per_second", "/s"),
    ("_seconds", "s"),
    ("bytes", "bytes"),
    ("bytes_before_hello", "bytes"),
    ("_days", "days"),
    ("_ms", "ms"),
    ("_bits", "bits"),
    ("_pages", "pages"),
    ("_share", "of the whole"),
    ("_factor", "times"),
)


def bounds() -> list[Bound]:
    """Every bound: settings in their order, constants by name."""
    return [*_settings(), *sorted(_constants())]


def _settings() -> Iterator[Bound]:
    for row in TABLE.values():
        is_number = isinstance(row.default, int | float) and not isinstance(row.default, bool)
        if is_number and row.dotted not in NO_BOUND:
            yield Bound(row.dotted, row.default, row.meaning)


def _constants() -> Iterator[Bound]:
    for path in sorted((ROOT / "tace").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] in OTHER_PROGRAMS or parts[-1] == "__init__":
            continue
        module = ".".join(parts)
        for name, meaning in _named(path):
            dotted = f"{module}.{name}"
            if name.startswith("MAX_") or dotted in ALSO:
                yield Bound(dotted, getattr(importlib.import_module(module), name), meaning)


def _named(path: Path) -> Iterator[tuple[str, str]]:
    """The constants of a file, each with the string below it."""
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    for statement, below in zip(statements, [*statements[1:], None], strict=True):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        said = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            said = " ".join(str(below.value.value).split())
        yield statement.targets[0].id, said


def page() -> str:
    """The whole text of docs/limits.md."""
    left = bounds()
    text = HEAD
    for heading, places in GROUPS.items():
        here = [bound for bound in left if _is_in(bound, places)]
        left = [bound for bound in left if bound not in here]
        text += f"\n## {heading}\n\n| bound | unless changed | unit | of what | beyond it |\n"
        text += "|---|---|---|---|---|\n"
        for bound in here:
            cells = (
                bound.shown_name,
                f"{bound.value:,}".removesuffix(".0"),
                bound.unit,
                _plain(bound.meaning) or "-",
                BEYOND.get(bound.name, "-"),
            )
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text


def _plain(text: str) -> str:
    """Markdown of a docstring's text."""
    return re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _is_in(bound: Bound, places: tuple[str, ...]) -> bool:
    return any(bound.name.startswith(place + ".") for place in places)
