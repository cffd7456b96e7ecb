"""Settings files: a node's own, and the commented sample."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

from tace.config.reading import default_settings
from tace.config.sections import SECTIONS, TABLE


def toml_text(values: Mapping[str, object]) -> str:
    """A settings file with these values, by ``section.key``. What it says reads back the same.

    :raises SettingsError: as :func:`default_settings`.
    """
    default_settings(**values)
    lines: list[str] = []
    for section in SECTIONS:
        rows = [row for row in TABLE.values() if row.section == section and row.dotted in values]
        if rows:
            lines += [f"[{section}]"]
            lines += [f"{row.key} = {_toml_value(values[row.dotted])}" for row in rows]
            lines += [""]
    return "\n".join(lines)


def _toml_value(value: object) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return repr(value)
        case list() | tuple():
            return "[" + ", ".join(map(_toml_value, value)) + "]"
        case _:
            # JSON's escapes are TOML's; only DEL needs one in TOML and none in JSON.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


_SAMPLE_HEAD = """\
# The settings of a tace node, each with its default. Remove the first # of a line to change one.
#
#     twistd -n tace --config node.toml
#
# The environment overrules this file: [gateway] listen is TACE_GATEWAY_LISTEN; lists are separated
# by commas there. Relative paths start at this file's directory. What is unknown stops the start.
#
# Written by scripts/make-conf from tace/config.
"""


def sample_toml() -> str:
    """``conf/node.toml``: every setting with its default, its meaning and what is allowed."""
    lines = [_SAMPLE_HEAD]
    for section, cls in SECTIONS.items():
        lines += [f"[{section}]", f"# {cls.__doc__}", ""]
        for row in TABLE.values():
            if row.section == section:
                lines += textwrap.wrap(
                    f"{row.meaning} ({row.allowed})",
                    width=98,
                    initial_indent="# ",
                    subsequent_indent="# ",
                    break_long_words=False,
                )
                default = "./data/node" if row.dotted == "node.data_dir" else row.default
                lines += [f"#{row.key} = {_toml_value(default)}", ""]
    return "\n".join(lines)
