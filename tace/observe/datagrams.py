"""Keeps the coming and going of sockets for single questions to a name server out of the log."""

from __future__ import annotations

import re
from typing import Any

from twisted.logger import ILogFilterPredicate, LogEvent, PredicateResult
from zope.interface import implementer

_SOCKET = re.compile(
    r"DNSDatagramProtocol starting on \d+|\(UDP Port \d+ Closed\)"
    r"|(Starting|Stopping) protocol <twisted\.names\.dns\.DNSDatagramProtocol .*>"
)


@implementer(ILogFilterPredicate)
class DatagramLines:
    """Drops what Twisted says about each socket of a look-up.

    Four lines about each of sixteen or so, and a node that is alone looks names up again and again.
    A node has no other datagrams.
    """

    def __call__(self, event: LogEvent) -> Any:
        text = event.get("log_text", "")
        if isinstance(text, str) and _SOCKET.fullmatch(text):
            return PredicateResult.no
        return PredicateResult.maybe
