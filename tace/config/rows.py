"""One row of the table of settings: its type, what is allowed, and how text becomes its value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from tace.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Check:
    """``holds`` tests one value (of a list: each item); ``allowed`` says the same in words."""

    allowed: str
    holds: Callable[[Any], bool]


def between(low: float, high: float) -> Check:
    return Check(f"{low:,} to {high:,}", lambda number: low <= number <= high)


def one_of(*words: str) -> Check:
    return Check(" or ".join(words), lambda word: word in words)


def utf8_bytes(low: int, high: int) -> Check:
    return Check(f"{low} to {high} bytes", lambda text: low <= len(text.encode()) <= high)


_ENDPOINT = re.compile(r"(?!tcp:)[a-z][a-z0-9]*:\S+|tcp:(?:port=)?(\d{1,5})(?::[a-z]+=\S+)*")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:\[\]#,/]+):(\d{1,5})(#[0-9a-f]{64})?")
_ORIGIN = re.compile(r"https?://(?:\[[0-9a-fA-F:.]+\]|[^\s:\[\]#?,/]+)(?::(\d{1,5}))?")


def _is_endpoint(text: str) -> bool:
    match = _ENDPOINT.fullmatch(text)
    return match is not None and int(match[1] or 0) <= 65535


def _is_seed(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and 1 <= int(match[1]) <= 65535


_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_MOST_HOST_NAME = 240
"""A DNS name has at most 253 characters, and ``_tace._tcp.`` stands before it."""


def _is_host_name(text: str) -> bool:
    return len(text) <= _MOST_HOST_NAME and _HOST_NAME.fullmatch(text) is not None


def _is_name_server(text: str) -> bool:
    if _is_ip_address(text):
        return True
    host, _, _ = text.rpartition(":")
    return _is_seed(text) and "#" not in text and _is_ip_address(host.strip("[]"))


def _is_origin(text: str) -> bool:
    match = _ORIGIN.fullmatch(text)
    return match is not None and 1 <= int(match[1] or 443) <= 65535


anything = Check("", lambda _: True)
endpoint = Check("such as tcp:PORT or tcp:PORT:interface=ADDRESS", _is_endpoint)
endpoint_or_empty = Check(
    "such as tcp:PORT:interface=ADDRESS, or empty", lambda text: not text or _is_endpoint(text)
)


def _is_ip_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text
    except ValueError:
        return False


ip_address_each = Check("an IP address each, in its shortest form", _is_ip_address)
address = Check("host:port each", lambda text: "#" not in text and _is_seed(text))
seed = Check("host:port or host:port#node-id each", _is_seed)
host_name = Check("a DNS name each", _is_host_name)
name_server = Check("an IP address each, or ip:port", _is_name_server)
origin = Check("such as https://tace.example each", _is_origin)


def setting(default: object, meaning: str, check: Check = anything) -> Any:
    """A field of a section: one row of the table."""
    return field(default=default, metadata={"meaning": meaning, "check": check})


# -- types -----------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """One type of setting.

    ``accept`` turns a TOML value (or the setting's own type) into the setting's value and
    ``from_text`` the environment's text into a TOML value; both raise ``ValueError``.
    """

    name: str
    accept: Callable[[Any], Any]
    from_text: Callable[[str], Any]


_YES_AND_NO = {"true": True, "false": False}


def _accept_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _bool_from_text(text: str) -> bool:
    if text.lower() not in _YES_AND_NO:
        raise ValueError
    return _YES_AND_NO[text.lower()]


def _accept_int(value: object) -> int:
    if type(value) is not int:
        raise ValueError
    return value


def _accept_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _accept_str(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _accept_path(value: object) -> Path:
    text = _accept_str(str(value) if isinstance(value, Path) else value)
    if not text:
        raise ValueError
    return Path(text)


def _accept_optional_path(value: object) -> Path | None:
    return None if value is None or value == "" else _accept_path(value)


def _accept_strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_accept_str(item) for item in value)


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


KINDS: dict[object, Kind] = {
    bool: Kind("true or false", _accept_bool, _bool_from_text),
    int: Kind("a whole number", _accept_int, int),
    float: Kind("a number", _accept_float, float),
    str: Kind("text", _accept_str, str),
    Path: Kind("a path", _accept_path, str),
    Path | None: Kind("a path, or empty", _accept_optional_path, str),
    tuple[str, ...]: Kind("a list", _accept_strings, _split),
}


class Row(NamedTuple):
    section: str
    key: str
    kind: Kind
    default: Any
    meaning: str
    check: Check

    @property
    def dotted(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def environment_name(self) -> str:
        return f"TACE_{self.section}_{self.key}".upper()

    @property
    def allowed(self) -> str:
        return ", ".join(filter(None, (self.kind.name, self.check.allowed)))

    def value(self, raw: object, where: str) -> Any:
        """:raises SettingsError: not of the row's type, or not allowed."""
        try:
            value = self.kind.accept(raw)
            items = value if isinstance(value, tuple) else (value,)
            good = all(self.check.holds(item) for item in items)
        except (ValueError, OverflowError):
            good = False
        if not good:
            raise SettingsError(f"{where}: {_shown(raw)} is not allowed; use {self.allowed}")
        return value

    def value_from_text(self, text: str, where: str) -> Any:
        """As :meth:`value`, for text from the environment or a command line; lists by commas."""
        try:
            raw = self.kind.from_text(text)
        except ValueError:
            raw = text
        return self.value(raw, where)


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 80 else text[:77] + "..."
