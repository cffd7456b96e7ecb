"""How a local network lies on disk and on ports: one directory and one ``node.toml`` a node.

``node.toml`` belongs to the operator once it is there: a later start changes in it only the seeds
and what the command line names, so a network keeps its ports and settings.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tace.config import load_settings, toml_text
from tace.errors import StartError

FIRST_PORT = 8080
MAX_SEEDS = 8
LOOPBACK = "127.0.0.1"

_HEAD = """\
# A node of a local network. `tace network` keeps what is set here, except for the seeds and for
# what its options name; it does not keep comments. Every setting: conf/node.toml.

"""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node to be: where its data lies and where it listens, on loopback."""

    index: int
    directory: Path
    client_port: int
    peer_port: int
    secure: bool = False

    @property
    def config(self) -> Path:
        return self.directory / "node.toml"

    @property
    def url(self) -> str:
        """What clients dial."""
        return f"{'https' if self.secure else 'http'}://{LOOPBACK}:{self.client_port}"


def lay_out(
    base_dir: Path,
    nodes: int,
    first_port: int | None,
    overrides: Mapping[str, object],
    *,
    own: Sequence[Mapping[str, object]] = (),
) -> list[NodePlan]:
    """Makes the directories and writes each ``node.toml``.

    :param first_port: node i gets ports P + 2i and P + 2i + 1. 0: the ports it has, or any that
        are free. None: the ports it has, or those counted from 8080.
    :param overrides: settings by ``section.key``, for all nodes.
    :param own: further ones, of each node for itself.
    :raises SettingsError: a node.toml that is there cannot be used.
    :raises StartError: the directory cannot be written, or there are not so many ports.
    """
    base_dir = base_dir.absolute()
    kept = [_kept(base_dir / f"node-{index}" / "node.toml") for index in range(nodes)]
    ports = [(_port(values, "gateway.listen"), _port(values, "links.listen")) for values in kept]
    free = _free_ports(2 * nodes, ports) if first_port == 0 else iter(())
    plans = []
    for index, values in enumerate(kept):
        client_port, peer_port = ports[index]
        if first_port:
            client_port = peer_port = None
        counted = (first_port or FIRST_PORT) + 2 * index
        if first_port != 0 and counted + 1 > 65535:
            raise StartError(f"{nodes} nodes from port {counted - 2 * index} need ports over 65535")
        plans.append(
            NodePlan(
                index,
                base_dir / f"node-{index}",
                client_port or next(free, counted),
                peer_port or next(free, counted + 1),
                secure=bool((values | dict(overrides)).get("gateway.certificate_file")),
            )
        )
    for plan, values in zip(plans, kept, strict=True):
        further = dict(own[plan.index]) if own else {}
        _write(plan, _values(plan, plans, values) | dict(overrides) | further)
    return plans


def wipe(plan: NodePlan) -> None:
    """Removes all that a node has written, as a new disk would; it must not run.

    Its settings are the operator's and stay, and so does its log, which tells what happened.
    """
    for path in plan.directory.iterdir():
        if path != plan.config and not path.name.startswith("node.log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def ensure_free(plans: list[NodePlan]) -> None:
    """Are the ports to be had?

    :raises StartError: names the first that is not, and how to choose others.
    """
    seen: set[int] = set()
    for plan in plans:
        for port, setting in (
            (plan.client_port, "[gateway] listen"),
            (plan.peer_port, "[links] listen"),
        ):
            reason = "another node has it" if port in seen else _why_taken(port)
            if reason:
                raise StartError(
                    f"port {port} cannot be had for node {plan.index} ({reason}): choose others "
                    f"with --first-port, or change {setting} in {plan.config}"
                )
            seen.add(port)


def _why_taken(port: int) -> str:
    with socket.socket() as probe:
        # As Twisted does: what only lingers from an earlier start is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return os.strerror(error.errno or 0)
    return ""


def _kept(path: Path) -> dict[str, Any]:
    """What an earlier start, or the operator, has set; by ``section.key``, as TOML has it."""
    if not path.exists():
        return {}
    load_settings(path, {})
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        f"{section}.{key}": value
        for section, table in document.items()
        for key, value in table.items()
    }


def _port(values: Mapping[str, Any], dotted: str) -> int | None:
    match = re.match(r"tcp:(?:port=)?(\d+)", values.get(dotted, ""))
    return int(match[1]) if match else None


def _values(plan: NodePlan, plans: list[NodePlan], kept: dict[str, Any]) -> dict[str, Any]:
    values = {"node.data_dir": "."} | kept
    for dotted, port in (("gateway.listen", plan.client_port), ("links.listen", plan.peer_port)):
        if _port(values, dotted) != port:
            values[dotted] = f"tcp:{port}:interface={LOOPBACK}"
    others = [other for other in plans if other.index != plan.index]
    values["links.seeds"] = [f"{LOOPBACK}:{other.peer_port}" for other in others[:MAX_SEEDS]]
    return values


def _write(plan: NodePlan, values: dict[str, Any]) -> None:
    text = _HEAD + toml_text(values)
    try:
        plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not plan.config.exists() or plan.config.read_text(encoding="utf-8") != text:
            write_atomically(plan.config, text)
    except OSError as error:
        raise StartError(f"{plan.config}: {error.strerror or error}") from None


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never a part."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _free_ports(count: int, kept: list[tuple[int | None, int | None]]) -> Iterator[int]:
    """Ports that nobody holds now; all are held until all are known, so that they differ."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(2 * count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        ports = [probe.getsockname()[1] for probe in probes]
    # A node that does not run yet holds its port only in its node.toml.
    reserved = {port for pair in kept for port in pair}
    return iter([port for port in ports if port not in reserved])
