"""A person's program that writes many messages: ``python -m tests.smoke.stage.writer HOME URL...``

Reads lines of ``PUBLIC_KEY TEXT`` from standard input until its end, sends each as ``tace send``
does, one after the other, and prints a line of JSON for each: ``{"id", "to", "text", "state"}``.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tace.cli.run import run, user_of
from tace.client.address import NodeAddress
from tace.client.home import Home
from tace.client.naming import identity_of

LOOKED_UP_FOR_SECONDS = 600.0


def main(home_directory: str, urls: Sequence[str]) -> None:
    home = Home.open(
        Path(home_directory), ask_passphrase=lambda: "", random_bytes=secrets.token_bytes
    )
    lines = sys.stdin.read().splitlines()

    async def work(reactor: Any) -> None:
        user = user_of(home, reactor, [NodeAddress.parse(url) for url in urls])
        try:
            for line in lines:
                to, _, text = line.partition(" ")
                message = await user.send(
                    identity_of(home.database, to),
                    text,
                    looked_up_within_seconds=LOOKED_UP_FOR_SECONDS,
                )
                sent = {"id": message.id.hex(), "to": to, "text": text}
                print(json.dumps({**sent, "state": message.state.value}), flush=True)
        finally:
            await user.close()

    try:
        run(work)
    finally:
        home.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
