"""What is installed is all of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
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


def package_files() -> Iterator[Path]:
    """What is installed of this checkout: of the web client only what was built."""
    web = ROOT / "tace" / "web"
    for directory in (*(ROOT / "tace").iterdir(), ROOT / "twisted", web / "dist"):
        if directory != web:
            beneath = directory.rglob("*") if directory.is_dir() else [directory]
            yield from (path for path in beneath if path.is_file())


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
            for path in package_files()
            if path.suffix not in (".pyc", ".so") and path.name != "dropin.cache"
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


class WebClient(SynchronousTestCase):
    """The web client as it lies in the wheel that scripts/test has built."""

    def setUp(self) -> None:
        wheels = list((Path(sys.prefix) / "wheel").glob("tace-*.whl"))
        if not wheels:
            raise SkipTest("no wheel of tace is kept beside this Python; scripts/test builds it")
        [path] = wheels
        wheel = self.enterContext(zipfile.ZipFile(path))
        self.packed = wheel.namelist()
        prefix = "tace/web/dist/"
        self.files = {
            name.removeprefix(prefix): wheel.read(name)
            for name in self.packed
            if name.startswith(prefix)
        }

    def test_complete(self) -> None:
        """The page, the service worker, the manifest, scripts and styles."""
        for name in ("index.html", "sw.js", "files.json"):
            self.assertTrue(self.files.get(name), name)
        hashed = {Path(name).suffix for name in self.files if name.startswith("assets/")}
        self.assertLessEqual({".js", ".css"}, hashed)

    def test_hashes(self) -> None:
        """The manifest names every file but itself, with the hash of the bytes in the wheel."""
        manifest = json.loads(self.files["files.json"])
        self.assertEqual(self.dist_info(), f"tace-{manifest['version']}.dist-info")
        self.assertEqual(
            manifest["files"],
            {
                name: hashlib.sha256(content).hexdigest()
                for name, content in self.files.items()
                if name != "files.json" and not name.endswith(".gz")
            },
        )

    def test_page_names_its_scripts(self) -> None:
        """What the page loads at once is there."""
        page = self.files["index.html"].decode()
        named = re.findall(r'(?:src|href)="/([^"]+)"', page)
        self.assertTrue([name for name in named if name.endswith(".js")])
        self.assertEqual([name for name in named if name not in self.files], [])

    def test_nothing_else(self) -> None:
        """No sources, no tests, nothing of what it was built with."""
        of_web = {name for name in self.packed if name.startswith("tace/web/")}
        self.assertEqual(of_web, {f"tace/web/dist/{name}" for name in self.files})
        self.assertEqual([name for name in self.packed if "node_modules" in name], [])

    def dist_info(self) -> str:
        [name] = {name.split("/")[0] for name in self.packed if ".dist-info/" in name}
        return name
