"""Who is connected to whom on this machine, told by the kernel (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_ESTABLISHED = "01"


def dialled_ports(pid: int) -> set[int]:
    """The ports on loopback to which a process has TCP connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            # Closed while we look.
            continue
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        remote, state, inode = fields[2], fields[3], fields[9]
        if state == _ESTABLISHED and inode in inodes:
            ports.add(int(remote.rpartition(":")[2], 16))
    return ports
