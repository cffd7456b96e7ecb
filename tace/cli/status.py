"""``tace status``: what a node says of itself to anyone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tace.cli.run import run
from tace.client.address import NodeAddress
from tace.client.websocket import WebSocketDialer
from tace.lab.inquiry import Inquiry
from tace.wire.client import StatusInfo


def as_json(status: StatusInfo) -> dict[str, Any]:
    """Ids in hex; a position without a predecessor has null."""
    return {
        "node_id": status.node_id.hex(),
        "network_id": status.network_id.hex(),
        "version": status.version,
        "positions": [
            {
                "id": position.id.hex(),
                "predecessor": position.predecessor.hex() or None,
                "successors": [successor.hex() for successor in position.successors],
            }
            for position in status.positions
        ],
        "members": status.members,
        "items": status.items,
        "bytes": status.bytes,
        "state": status.state,
        "tried": list(status.tried),
        "silent": status.silent,
        "silent_since": status.silent_since or None,
    }


def told_of_silence(silent: int, since: int) -> list[str]:
    """What it means that so many nodes went silent together, since that time (unix seconds)."""
    nodes = "1 node that" if silent == 1 else f"{silent} nodes that"
    at = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        f"silent    {nodes} went silent together at {at}: the network may be in parts",
        "          this part serves on and asks for them all the time; when one answers, the parts",
        "          become one by themselves. See what lies between, or whether they were stopped",
    ]


def show(status: StatusInfo, console: Console) -> None:
    """For people: short ids, one line a position."""
    console.print(f"node      {status.node_id.hex()}", soft_wrap=True)
    console.print(f"network   {status.network_id.hex()}", soft_wrap=True)
    console.print(f"version   {status.version}")
    console.print(f"state     {status.state}")
    for line in status.tried:
        console.print(f"tried     {line}", markup=False, soft_wrap=True)
    if status.silent:
        for line in told_of_silence(status.silent, status.silent_since):
            console.print(line, soft_wrap=True)
    console.print(f"members   {status.members}")
    console.print(f"stored    {status.items} items, {status.bytes:,} bytes")
    table = Table("position", "predecessor", "successors", box=None, pad_edge=False)
    for position in status.positions:
        successors = " ".join(successor.hex()[:8] for successor in position.successors[:4])
        more = len(position.successors) - 4
        table.add_row(
            position.id.hex()[:8],
            position.predecessor.hex()[:8] or "none",
            successors + (f" and {more} more" if more > 0 else ""),
        )
    console.print(table)


@click.command("status")
@click.argument("url")
@click.option("--json", "json_wanted", is_flag=True, help="One JSON object; ids are hex.")
def command(url: str, json_wanted: bool) -> None:
    """Show what the node at URL says of itself: its places on the ring, members, what it stores."""
    try:
        address = NodeAddress.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
    status = run(lambda reactor: ask(address, reactor))
    if json_wanted:
        click.echo(json.dumps(as_json(status)))
    else:
        show(status, Console(highlight=False))


async def ask(address: NodeAddress, reactor: Any) -> StatusInfo:
    inquiry = Inquiry(address, WebSocketDialer(reactor))
    try:
        return await inquiry.status()
    finally:
        inquiry.close()
