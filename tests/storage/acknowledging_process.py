"""A process that puts letters until it is killed; prints the number of each once it is durable."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tace.storage.sqlite import SqliteStore
from tests.storage.objects import NOW, letter
from tests.storage.pump import Pump

IN_FLIGHT = 20


def main() -> None:
    """The argument is the path of the database."""
    pump = Pump()
    store = SqliteStore(Path(sys.argv[1]), pump, mailbox_max_items=1_000_000)
    waiting = []
    for number in count():
        waiting.append((number, store.put_envelopes([letter(number).envelope], NOW)))
        if len(waiting) == IN_FLIGHT:
            oldest, answer = waiting.pop(0)
            if pump.result(answer)[0].durable:
                print(oldest, flush=True)


if __name__ == "__main__":
    main()
