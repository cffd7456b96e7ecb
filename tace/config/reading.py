"""Settings from a file, the environment, and text."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tace.config.sections import SECTIONS, TABLE, Settings, complete, contradictions, row_named
from tace.errors import SettingsError


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings from ``path`` (None: the defaults), overruled by ``environ``.

    Relative paths in the file start at the file's directory, others at the current one.

    :raises SettingsError: one line that names the file or variable, the setting, and what is
        allowed.
    """
    given = {} if path is None else _read_file(path)
    for name in sorted(environ):
        for section in SECTIONS:
            prefix = f"TACE_{section}_".upper()
            if name.startswith(prefix):
                row = row_named(section, name.removeprefix(prefix).lower(), name)
                given[row.dotted] = row.value_from_text(environ[name], name)
    return _settings(given, "" if path is None else f"{path}: ")


def default_settings(**overrides: object) -> Settings:
    """The defaults but for ``overrides``: ``default_settings(**{"ring.replicas": 3})``.

    :raises SettingsError: as :func:`load_settings`.
    """
    given = {}
    for dotted, raw in overrides.items():
        section, _, key = dotted.partition(".")
        given[dotted] = row_named(section, key, dotted).value(raw, dotted)
    return _settings(given, "")


def setting_from_text(dotted: str, text: str) -> Any:
    """The checked value of ``section.key`` from a command line's text; lists are split at commas.

    :raises SettingsError: no such setting, or not allowed.
    """
    section, _, key = dotted.partition(".")
    if section not in SECTIONS:
        raise SettingsError(f"{dotted}: no such section; there are {', '.join(SECTIONS)}")
    return row_named(section, key, dotted).value_from_text(text, dotted)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        # TOMLDecodeError and UnicodeDecodeError
        raise SettingsError(f"{path}: not TOML: {' '.join(str(error).split())}") from None
    given: dict[str, Any] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            sections = ", ".join(f"[{name}]" for name in SECTIONS)
            raise SettingsError(f"{path}: [{section}]: no such section; there are {sections}")
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {section}: is a section: write [{section}] above it")
        for key, raw in table.items():
            where = f"{path}: [{section}] {key}"
            row = row_named(section, key, where)
            value = row.value(raw, where)
            given[row.dotted] = path.parent / value if isinstance(value, Path) else value
    return given


def _settings(given: dict[str, Any], where: str) -> Settings:
    complete(given)
    sections = {
        name: cls(
            **{
                row.key: given[row.dotted]
                for row in TABLE.values()
                if row.section == name and row.dotted in given
            }
        )
        for name, cls in SECTIONS.items()
    }
    settings = Settings(**sections)
    for contradiction in contradictions(settings):
        raise SettingsError(where + contradiction)
    return settings
