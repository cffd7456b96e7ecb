"""How messages, keys and times are printed, for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from tace.client.naming import key_text
from tace.client.rows import HistoryMessage, MessageState
from tace.client.sqlite import HomeDatabase

TICKS = {
    MessageState.QUEUED: "…",
    MessageState.PARTIAL: "…",
    MessageState.STORED: "✓",
    MessageState.DELIVERED: "✓✓",
    MessageState.FAILED: "✗",
    MessageState.RECEIVED: "",
}


def print_json(value: dict[str, Any]) -> None:
    """One object, one line, out at once."""
    click.echo(json.dumps(value))


def time_text(milliseconds: int) -> str:
    """RFC 3339 in UTC; a time that no calendar holds, from a sender's wild clock, is the epoch."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_text(milliseconds: int) -> str:
    """Hours and minutes here."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%H:%M")
    except (ValueError, OverflowError, OSError):
        return "--:--"


def printable(text: str) -> str:
    """Text from somebody else, without what would steer the terminal (escape sequences) or turn
    the reading direction; lines and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def name_of(database: HomeDatabase, identity: bytes) -> str:
    """What that person wants to be called; empty where they did not say."""
    peer = database.peer(identity)
    return peer.name if peer is not None else ""


def short_name(database: HomeDatabase, identity: bytes) -> str:
    """The name, or the beginning of the key."""
    return name_of(database, identity) or key_text(identity)[:10]


def received_json(database: HomeDatabase, message: HistoryMessage) -> dict[str, Any]:
    return {
        "id": message.id.hex(),
        "from": key_text(message.peer),
        "name": name_of(database, message.peer),
        "text": message.text,
        "sent": time_text(message.sent_ms),
        "received": time_text(message.received_ms),
    }


def state_text(message: HistoryMessage) -> str:
    """One line on how far a message of ours has come."""
    match message.state:
        case MessageState.DELIVERED:
            return "delivered"
        case MessageState.STORED:
            return f"stored on {message.copies} of {message.replicas} nodes"
        case MessageState.PARTIAL:
            return (
                f"stored on only {message.copies} of {message.replicas} nodes;"
                " it stays in the outbox and is tried again"
            )
        case MessageState.FAILED:
            return "given up: it expired, or no node will take it"
        case _:
            return "in the outbox; every later command tries again"
