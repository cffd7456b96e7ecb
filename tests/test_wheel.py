"""What is installed is all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent

_LIST = """
import json, importlib.metadata as metadata
try:
    print(json.dumps([str(file) for file in metadata.files("tace")]))
except metadata.PackageNotFoundError:
    print("null")
"""
_PLUGINS = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
print([maker.tapname for maker in getPlugins(IServiceMaker)].count("tace"))
"""
_IMPORTS = """
import tace.tap, tace.cli.main
for entry in tace.cli.main.COMMANDS.values():
    assert getattr(__import__(entry.module, fromlist=["x"]), entry.attribute)
print(tace.tap.__file__)
"""


class Wheel(SynchronousTestCase):
    """The wheel that scripts/test has built from this checkout and installed."""

    def installed(self, program: str) -> str:
        """What ``program`` prints where the checkout is out of reach."""
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        elsewhere = self.mktemp()
        Path(elsewhere).mkdir()
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=elsewhere,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def setUp(self) -> None:
        files = json.loads(self.installed(_LIST))
        if files is None:
            raise SkipTest("tace is not installed beside this Python; scripts/test installs it")
        self.files = set(files)

    def test_complete(self) -> None:
        """Every module, schema and asset of the package, the type marker and the plugin."""
        wanted = {
            str(path.relative_to(ROOT))
            for directory in ("tace", "twisted")
            for path in (ROOT / directory).rglob("*")
            if path.is_file() and path.suffix not in (".pyc", ".so") and path.name != "dropin.cache"
        }
        self.assertGreater(len(wanted), 50)
        self.assertEqual(wanted - self.files, set())

    def test_nothing_else(self) -> None:
        """No tests, no package file that would hide Twisted."""
        beside = {file for file in self.files if not file.startswith(("tace/", "tace-", "../"))}
        self.assertEqual({file for file in beside if not file.endswith(".pyc")}, {
            "twisted/plugins/tace_plugin.py"
        })  # fmt: skip

    def test_plugin(self) -> None:
        """twistd finds the plugin, once."""
        self.assertEqual(self.installed(_PLUGINS).strip(), "1")

    def test_imports(self) -> None:
        """What a node and the command are made of comes from the wheel, and all of it is there."""
        self.assertIn("site-packages", self.installed(_IMPORTS))
