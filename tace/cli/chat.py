"""``tace chat``: two people talk, a line at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from tace.cli.options import home_option, node_option, open_home
from tace.cli.output import (
    TICKS,
    clock_text,
    excerpt,
    printable,
    reactions_text,
    said_text,
    short_name,
)
from tace.cli.run import run, user_of
from tace.client.address import NodeAddress
from tace.client.errors import NoNode, UnknownRecipient
from tace.client.home import Home
from tace.client.naming import identity_of
from tace.client.rows import HistoryMessage, MessageState
from tace.client.user import User
from tace.errors import TaceError

MAX_LINE_BYTES = 60 * 1024
SHOWN_BEFORE = 10
"""How many lines of the history a chat on a terminal begins with."""
LEAVING_SECONDS = 10.0
"""How long a chat whose input has ended waits for its last lines to be stored."""
_AT_A_NODE = frozenset({MessageState.STORED, MessageState.DELIVERED, MessageState.FAILED})


class Lines(LineOnlyReceiver):
    """What is typed or piped in."""

    delimiter = os.linesep.encode()
    MAX_LENGTH = MAX_LINE_BYTES

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def lineReceived(self, line: bytes) -> None:
        self._chat.typed(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        click.echo(f"a line has at most {MAX_LINE_BYTES} bytes; this one is not sent", err=True)

    def connectionLost(self, reason: Failure = Failure(EOFError())) -> None:  # noqa: B008
        # A last line without its end is a line all the same.
        if self._buffer:
            self._chat.typed(self._buffer)
            self._buffer = b""
        if not self._chat.ended.called:
            self._chat.ended.callback(None)


class Chat:
    """One conversation on standard input and output."""

    def __init__(self, home: Home, peer: bytes) -> None:
        self._database = home.database
        self._peer = peer
        self.user: User | None = None
        self.ended: Deferred[None] = Deferred()
        self._states: dict[bytes, MessageState] = {}
        self._connected = True

    def typed(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if not text.strip() or self.user is None:
            return
        try:
            message = self.user.write(self._peer, text)
        except TaceError as error:
            click.echo(str(error), err=True)
            return
        self._states[message.id] = message.state

    def failed(self, failure: Failure) -> None:
        """The chat cannot go on: its command ends with that."""
        if not self.ended.called:
            self.ended.errback(failure)

    @property
    def waiting(self) -> bool:
        """Is a line of this chat in the outbox only?"""
        return not all(state in _AT_A_NODE for state in self._states.values())

    def history(self) -> None:
        for message in self._database.conversation(self._peer, SHOWN_BEFORE):
            if message.outgoing:
                said = said_text(self._database, message, "me")
                self._line(message, f"{said} {TICKS[message.state]}")
            elif self._database.shown(message.seq):
                self._show(message)

    # -- UserEvents ------------------------------------------------------------------------------

    def show(self, message: HistoryMessage) -> None:
        self._show(message)

    def changed(self, message: HistoryMessage) -> None:
        known = self._states.get(message.id)
        if known is None or known is message.state:
            return
        self._states[message.id] = message.state
        click.echo(f"      {TICKS[message.state]} {excerpt(message.text)}")

    def unreadable(self, identity: bytes) -> None:
        if identity == self._peer:
            click.echo("a message could not be read; it is asked for again", err=True)

    def unlisted(self, identity: bytes) -> None:
        if identity == self._peer:
            click.echo("that came from a device that is not on their list of devices", err=True)

    def requested(self, identity: bytes) -> None:
        """Not this conversation's matter: `tace receive` says it."""

    def no_room(self) -> None:
        """Likewise."""

    def connected(self, address: NodeAddress) -> None:
        if not self._connected:
            click.echo(f"connected to {address}", err=True)
        self._connected = True

    def disconnected(self, reason: str) -> None:
        if self._connected:
            click.echo(f"{reason}; trying again", err=True)
        self._connected = False

    def _show(self, message: HistoryMessage) -> None:
        name = printable(short_name(self._database, message.peer))
        self._line(message, said_text(self._database, message, name))

    def _line(self, message: HistoryMessage, text: str) -> None:
        reactions = reactions_text(self._database, message)
        click.echo(f"{clock_text(message.sent_ms)} {text}{reactions}".replace("\n", "\n      "))


@click.command("chat")
@home_option
@node_option
@click.argument("contact")
def command(home: Path, nodes: Sequence[NodeAddress], contact: str) -> None:
    """Talk with CONTACT: a link, a public key, or the name of somebody who wrote to you.

    \b
    Each line you type is a message. Under it appears
      ✓   when most of its nodes have it on disk
      ✓✓  when the other side's device has it

    Ctrl-D or Ctrl-C ends the chat. What others send meanwhile stays for `tace receive`.
    """
    opened = open_home(home)
    try:
        try:
            peer = identity_of(opened.database, contact)
        except UnknownRecipient as error:
            raise click.BadParameter(str(error), param_hint="CONTACT") from None
        chat = Chat(opened, peer)
        run(lambda reactor: _talk(chat, opened, reactor, nodes, peer))
        if chat.waiting:
            click.echo("some lines are still in the outbox; later commands try again", err=True)
            raise SystemExit(3)
    finally:
        opened.close()


async def _talk(
    chat: Chat, home: Home, reactor: Any, nodes: Sequence[NodeAddress], peer: bytes
) -> None:
    chat.user = user = user_of(home, reactor, nodes, chat)
    try:
        try:
            await user.look_up(peer)
        except NoNode as error:
            click.echo(f"{error}; what you type waits in the outbox", err=True)
        if sys.stdin.isatty():
            click.echo(f"talking with {printable(short_name(home.database, peer))}", err=True)
            chat.history()
        following = user.follow(peer)
        StandardIO(Lines(chat), reactor=reactor)
        following.addErrback(chat.failed)
        try:
            await chat.ended
            await _leave(chat, reactor)
        except CancelledError:
            # Interrupted: the proper end of a chat.
            pass
    finally:
        await user.close()


async def _leave(chat: Chat, reactor: Any) -> None:
    until = reactor.seconds() + LEAVING_SECONDS
    while chat.waiting and reactor.seconds() < until:
        await deferLater(reactor, 0.05)
