"""Which libraries may be imported where. Floors and rooms are import-linter's part (setup.cfg)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent


class Rule(NamedTuple):
    """``library`` (with all below it) is imported only by files that match one of ``patterns``."""

    library: str
    patterns: tuple[str, ...]


RULES = (
    Rule("sqlite3", ("tace/**/sqlite.py",)),
    Rule("autobahn", ("tace/**/websocket.py",)),
    Rule("txredisapi", ("tace/**/redis.py",)),
    Rule("prometheus_client", ("tace/observe/metrics.py",)),
    Rule("twisted.names", ("tace/links/names.py",)),
    Rule("OpenSSL", ("tace/links/tls.py",)),
    Rule("twisted.internet.reactor", ("tace/tap.py", "tace/cli/**/*.py", "tace/lab/**/*.py")),
)
IMPORTS_TO_AVOID = ("prometheus_client.twisted",)
"""Installs the global reactor as it is imported."""


def imported(source: str) -> Iterator[str]:
    """Every dotted name that ``source`` imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, library: str) -> bool:
    return name == library or name.startswith(library + ".")


def matches(path: PurePosixPath, pattern: str) -> bool:
    """``**`` stands for any number of directories or none; ``PurePath.match`` has no such thing."""
    before, _, after = pattern.partition("/**/")
    if not after:
        return str(path) == pattern
    return before in map(str, path.parents) and path.match(after)


def breaches(path: PurePosixPath, source: str) -> list[str]:
    found = []
    for name in imported(source):
        found += [f"{path} imports {name}" for bad in IMPORTS_TO_AVOID if within(name, bad)]
        found += [
            f"{path} imports {name}"
            for rule in RULES
            if within(name, rule.library)
            and not any(matches(path, pattern) for pattern in rule.patterns)
        ]
    return found


class Libraries(SynchronousTestCase):
    """The few files that may know a library by name are the only ones that do."""

    def test_package(self) -> None:
        """No file of the package imports what it may not."""
        sources = sorted((ROOT / "tace").rglob("*.py"))
        self.assertGreater(len(sources), 20)
        found: list[str] = []
        for file in sources:
            path = PurePosixPath(file.relative_to(ROOT))
            found += breaches(path, file.read_text(encoding="utf-8"))
        self.assertEqual(found, [])

    def test_no_package_files_beside_the_plugin(self) -> None:
        """An __init__.py in twisted/ would hide Twisted itself."""
        self.assertEqual(
            [path.name for path in (ROOT / "twisted").rglob("*.py")], ["tace_plugin.py"]
        )

    def test_each_rule_bites(self) -> None:
        """Every library is refused elsewhere, however it is imported, and allowed in its place."""
        for rule in RULES:
            module, _, name = rule.library.rpartition(".")
            forms = [f"import {rule.library}.x", f"def f():\n    from {rule.library} import x"]
            if module:
                forms.append(f"from {module} import {name}")
            for source in forms:
                self.assertEqual(len(breaches(PurePosixPath("tace/core.py"), source)), 1, source)
                place = rule.patterns[-1].replace("**/", "deep/").replace("*", "x")
                self.assertEqual(breaches(PurePosixPath(place), source), [], source)

    def test_patterns(self) -> None:
        """A pattern fits the directory itself and everything below it, nothing beside it."""
        pattern = "tace/cli/**/*.py"
        for path, fits in (
            ("tace/cli/main.py", True),
            ("tace/cli/deep/er/main.py", True),
            ("tace/client/main.py", False),
            ("tace/cli/notes.txt", False),
        ):
            self.assertEqual(matches(PurePosixPath(path), pattern), fits, path)

    def test_never_imported(self) -> None:
        """What installs a reactor on import is refused even where its library is allowed."""
        found = breaches(
            PurePosixPath("tace/observe/metrics.py"), "from prometheus_client.twisted import x"
        )
        self.assertEqual(len(found), 1)
