"""What Linux says of a process: its CPU time, its memory; and how many files it may open."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from tace.errors import StartError

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, also of those that ended (proc(5)); to 10 ms.

    :raises OSError: there is no such process.
    """
    # The second field is the program's name in brackets, with whatever is in it.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM; the kernel's own, for its sockets, is not in it.

    :raises OSError: there is no such process.
    """
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * _PAGE_BYTES


def ensure_descriptors(wanted: int, what: str) -> None:
    """Let this process and those it starts open so many files.

    :param what: who needs them, for the error's text.
    :raises StartError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise StartError(
            f"{what} needs {wanted} open files and may have {hard}: raise the hard limit "
            f"(ulimit -Hn {wanted}), or ask for fewer connections"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
