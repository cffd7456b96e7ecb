"""A made-up build of the web client."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from pathlib import Path

SCRIPT = b"export const answer = 42;\n" * 100
FILES = {
    "index.html": b'<!doctype html><script type="module" src="/assets/app-1f.js"></script>\n' * 20,
    "sw.js": b"self.addEventListener('fetch', () => {});\n",
    "manifest.webmanifest": b'{"name": "tace"}',
    "icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "assets/app-1f.js": SCRIPT,
    "assets/picture-2a.png": bytes(2000),
    "assets/odd.bin": b"\0\1\2",
}


def manifest(files: dict[str, bytes], version: str = "1.0") -> bytes:
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"version": version, "files": hashes}).encode()


def write_dist(folder: Path, files: dict[str, bytes] | None = None, version: str = "1.0") -> Path:
    """Write the files and their manifest; the script's gzip stands beside it."""
    files = FILES if files is None else files
    for name, content in {**files, "files.json": manifest(files, version)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name == "assets/app-1f.js":
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 1, mtime=0))
    return folder
