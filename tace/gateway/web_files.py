"""The built web client: the files of ``tace/web/dist``, in memory, and their hashes.

``files.json`` beside them names the SHA-256 of each; ``tace verify-web`` compares a node's files
with it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

MANIFEST = "files.json"
INDEX = "index.html"
COMPRESSED = ".gz"
WORTH_COMPRESSING_BYTES = 512
_GZIP_LEVEL = 9

CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/vnd.microsoft.icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff2": "font/woff2",
}
"""By the end of a name; whatever else there is goes out as bytes that a browser does not run."""
_ALREADY_COMPRESSED = frozenset({"png", "webp", "woff2"})


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file of the web client.

    :param name: its path below the site's root, ``assets/index-2f.js``.
    :param compressed: the same content in gzip; empty where that would not be smaller.
    """

    name: str
    content: bytes
    compressed: bytes
    sha256: str

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES.get(_ending(self.name), "application/octet-stream")

    @property
    def is_hashed(self) -> bool:
        """The name changes with the content, so that it may be kept for ever."""
        return self.name.startswith("assets/")


@dataclass(frozen=True, slots=True)
class WebManifest:
    """What ``files.json`` says.

    :param files: name -> SHA-256 in hex, of every file but itself and the ``.gz``.
    """

    version: str
    files: Mapping[str, str]

    @classmethod
    def parse(cls, content: bytes) -> WebManifest:
        """
        :raises ValueError: it is not of that form.
        """
        try:
            told: Any = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{MANIFEST} is no JSON") from error
        if not isinstance(told, dict):
            raise ValueError(f"{MANIFEST} is no object")
        version, named = told.get("version"), told.get("files")
        if not isinstance(version, str) or not isinstance(named, dict):
            raise ValueError(f"{MANIFEST} has no version or no files")
        if not all(isinstance(value, str) for value in named.values()):
            raise ValueError(f"{MANIFEST} names something that is no hash")
        return cls(version, named)


def installed_files(directory: Traversable | None = None) -> dict[str, WebFile]:
    """The files of the installed package by name; empty where it was installed without a build.

    :param directory: where they are; by default, in this package.
    """
    root = directory if directory is not None else files("tace") / "web" / "dist"
    if not (root / INDEX).is_file():
        return {}
    contents = dict(_read(root, ""))
    return {
        name: _web_file(name, content, contents.get(name + COMPRESSED))
        for name, content in contents.items()
        if not name.endswith(COMPRESSED)
    }


def _web_file(name: str, content: bytes, beside: bytes | None) -> WebFile:
    compressed = beside or b""
    small = len(content) < WORTH_COMPRESSING_BYTES or _ending(name) in _ALREADY_COMPRESSED
    if not compressed and not small:
        # Without the time, so that every node has the same bytes.
        compressed = gzip.compress(content, _GZIP_LEVEL, mtime=0)
    if len(compressed) >= len(content):
        compressed = b""
    return WebFile(name, content, compressed, sha256(content).hexdigest())


def _read(directory: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()


def _ending(name: str) -> str:
    return name.rpartition(".")[2]
