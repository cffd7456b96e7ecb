"""Ties a process to the one that starts it: it gets a signal when that ends, however it ends.

Run as a program: ``python tied.py PARENT-PID SIGNAL COMMAND ...`` asks the kernel for the signal
and then becomes COMMAND. It imports nothing of tace, so that it costs a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
"""prctl(2): outlives the exec, as long as that is of no set-user-ID program."""


def tied(command: Sequence[str], farewell: int = signal.SIGTERM) -> list[str]:
    """The command line that runs ``command`` tied to this process.

    :param farewell: the signal. A stopped process hears of none but SIGKILL.

    Where there is no prctl (it is Linux's) ``command`` runs untied.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(farewell)), *command]


def _main(parent: int, farewell: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        if libc.prctl(_PR_SET_PDEATHSIG, farewell, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        # It may have ended before the kernel was asked.
        if os.getppid() != parent:
            sys.exit("the process that started this one has ended")
    os.execv(command[0], command)  # noqa: S606 - the whole point


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
