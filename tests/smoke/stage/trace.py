"""What strace saw of a node: was the disk waited for between an envelope and its answer? Pure.

Lines are those of ``strace -f -yy -o FILE``: the thread's id, then the call with its files and
sockets by name; a call that another thread's interrupts stands on two lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tace.wire.objects import ENVELOPE_BYTES

TRACED = "network,read,write,readv,writev,fdatasync,fsync"
LOG_OF_COMMITS = "node.db-wal"
_READS = frozenset({"read", "readv", "recvfrom", "recvmsg"})
_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_SYNCS = frozenset({"fdatasync", "fsync"})

_BEGUN = re.compile(r"(\d+) +(\w+)\((\d+<(?:TCP(?:v6)?:\[.*?\]|[^>]*)>)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>")
_RESULT = re.compile(r" = (-?\d+)(?: [A-Z].*)?$")


@dataclass(frozen=True, slots=True)
class Exchange:
    """An envelope that was read from a socket, and the next thing written to that socket.

    ``durable``: in between a sync of the log of commits began, and ended well.
    """

    socket: str
    durable: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """One end of a system call: ``result`` is None where it begins."""

    thread: str
    call: str
    file: str
    result: int | None


def exchanges(lines: Iterable[str]) -> list[Exchange]:
    """Every envelope that was answered, in the order of the answers.

    Only for a client, or a node, that sends one envelope and waits for its answer.
    """
    found: list[Exchange] = []
    unanswered: dict[str, int] = {}
    syncing: dict[str, set[str]] = {}
    synced: set[str] = set()
    for step in _steps(lines):
        if step.call in _READS and step.result is not None and step.result > 0:
            if "<TCP" in step.file:
                unanswered[step.file] = unanswered.get(step.file, 0) + step.result
        elif step.call in _WRITES and step.result is None:
            if unanswered.pop(step.file, 0) >= ENVELOPE_BYTES:
                found.append(Exchange(step.file, step.file in synced))
            synced.discard(step.file)
            for sockets in syncing.values():
                sockets.discard(step.file)
        elif step.call in _SYNCS and LOG_OF_COMMITS in step.file:
            if step.result is None:
                syncing[step.thread] = {s for s, n in unanswered.items() if n >= ENVELOPE_BYTES}
            elif step.result == 0:
                synced |= syncing.pop(step.thread)
    return found


def _steps(lines: Iterable[str]) -> Iterator[_Step]:
    """Begin and end of each call, in the order in which they happened."""
    under_way: dict[str, _Step] = {}
    for line in lines:
        text = line.rstrip()
        if (begun := _BEGUN.match(text)) is not None:
            step = _Step(begun[1], begun[2], begun[3], None)
            under_way[step.thread] = step
            yield step
        elif (resumed := _RESUMED.match(text)) is None or resumed[1] not in under_way:
            continue
        else:
            step = under_way[resumed[1]]
        if not text.endswith("<unfinished ...>"):
            result = _RESULT.search(text)
            yield _Step(step.thread, step.call, step.file, int(result[1]) if result else -1)
            del under_way[step.thread]
