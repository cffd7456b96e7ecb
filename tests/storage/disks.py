"""Small disks that a test mounts for itself; skipped where it may not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

MIB = 1024 * 1024


class SmallDisk:
    """A tmpfs; unmounted when the test ends.

    :raises SkipTest: this process may not mount anything.
    """

    def __init__(self, test: SynchronousTestCase | TestCase, size_bytes: int) -> None:
        self.path = Path(test.mktemp()).absolute()
        self.path.mkdir(parents=True)
        if shutil.which("mount") is None or os.geteuid() != 0:
            raise SkipTest("only root can mount a small disk for this test")
        options = f"size={size_bytes},mode=0700"
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode:
            raise SkipTest(f"no disk can be mounted here: {tried.stderr.strip()}")
        test.addCleanup(subprocess.run, ["umount", "--lazy", str(self.path)], check=True)

    def remount(self, option: str) -> None:
        """``ro``, ``rw`` or ``size=...``; ``ro`` only while no file is open to be written."""
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True)

    @property
    def free_bytes(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave_bytes: int = 0) -> Path:
        """Another program's file takes the rest."""
        path = self.path / "somebody-elses"
        with path.open("ab") as file:
            while (some := min(self.free_bytes - leave_bytes, 64 * 1024)) > 0:
                try:
                    file.write(bytes(some))
                    file.flush()
                except OSError:
                    break
        return path
