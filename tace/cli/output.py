"""How messages, keys and times are printed, for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from tace.client.naming import key_text
from tace.client.rows import HistoryMessage, MessageState
from tace.client.sqlite import HomeDatabase
from tace.e2ee.content import Kind

TICKS = {
    MessageState.QUEUED: "…",
    MessageState.PARTIAL: "…",
    MessageState.STORED: "✓",
    MessageState.DELIVERED: "✓✓",
    MessageState.FAILED: "✗",
    MessageState.RECEIVED: "",
}
_KINDS = {
    Kind.TEXT: "text",
    Kind.REACTION: "reaction",
    Kind.EDIT: "edit",
    Kind.DELETE: "delete",
    Kind.FILE: "file",
}
_EXCERPT = 40
"""How many characters of a message stand for it."""


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


def date_text(milliseconds: int) -> str:
    """Day, hours and minutes here."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "---------- --:--"


def printable(text: str) -> str:
    """Text from somebody else, without what would steer the terminal (escape sequences) or turn
    the reading direction; lines and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def name_of(database: HomeDatabase, identity: bytes) -> str:
    """What that person is called here; empty where nobody said."""
    peer = database.peer(identity)
    return peer.called if peer is not None else ""


def short_name(database: HomeDatabase, identity: bytes) -> str:
    """The name, or the beginning of the key."""
    return name_of(database, identity) or key_text(identity)[:10]


def excerpt(text: str) -> str:
    """The beginning, on one line."""
    line = printable(text).replace("\n", " ")
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def said_text(database: HomeDatabase, message: HistoryMessage, who: str) -> str:
    """What somebody said or did, for people."""
    target = database.target_of(message)
    about = "a message" if target is None else f"“{excerpt(target.text)}”"
    text = printable(message.text)
    if database.is_deleted(message):
        return f"{who}: (deleted)"
    match message.kind:
        case Kind.REACTION if message.text:
            return f"{who} reacts with {excerpt(message.text)} to {about}"
        case Kind.REACTION:
            return f"{who} takes the reaction to {about} back"
        case Kind.EDIT:
            # The target reads as it was edited last: this text, or a newer one.
            return f"{who} (edited): {text}"
        case Kind.DELETE:
            return f"{who} deleted a message"
        case Kind.FILE if message.file is not None:
            about = f"{excerpt(message.file.type) or 'unknown type'}, {message.file.size} bytes"
            return f"{who} sends a file: {excerpt(message.text)} ({about})"
        case _:
            return f"{who}: {text}"


def reactions_text(database: HomeDatabase, message: HistoryMessage) -> str:
    """What stands behind a line for the reactions to it; empty where there are none."""
    marks = [excerpt(emoji) for _, emoji in database.reactions(message)]
    return f" [{' '.join(marks)}]" if marks else ""


def received_json(database: HomeDatabase, message: HistoryMessage) -> dict[str, Any]:
    """What was received, for programs: what every kind has, then what this one has."""
    deleted = database.is_deleted(message)
    common = {
        "id": message.id.hex(),
        "kind": "deleted" if deleted else _KINDS[message.kind],
        "from": key_text(message.peer),
        "name": name_of(database, message.peer),
        "sent": time_text(message.sent_ms),
        "received": time_text(message.received_ms),
    }
    if message.target is not None:
        common["target"] = message.target.hex()
    match message.kind:
        case Kind.REACTION:
            return common | {"emoji": message.text}
        case Kind.DELETE:
            return common
        case Kind.FILE if message.file is not None:
            file = message.file
            return common | {"file": message.text, "type": file.type, "bytes": file.size}
        case _:
            return common | {"text": message.text}


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
