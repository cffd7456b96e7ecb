"""Ports for nodes that are ended and started again."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from random import Random

from tace.errors import StartError
from tace.lab.layout import LOOPBACK

LOWEST_PORT = 10_000
LOWEST_EPHEMERAL_PORT = 32_768
TRIES = 100


def free_ports(random: Random, count: int) -> int:
    """The first of so many neighbouring ports that nobody has.

    Below those that Linux hands to outgoing connections: one of these could take the port of a node
    that is down for a moment.

    :raises StartError: none were found.
    """
    for _ in range(TRIES):
        first = random.randrange(LOWEST_PORT, LOWEST_EPHEMERAL_PORT - count)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind((LOOPBACK, port))
            except OSError:
                continue
            return first
    raise StartError(f"there are no {count} free ports side by side")
