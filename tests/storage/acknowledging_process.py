"""A process that puts letters, now and then with a blob, until it is killed.

It prints the number of each once it is durable.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tace.storage.sqlite import SqliteStore
from tests.storage.objects import NOW, blob, letter
from tests.storage.pump import Pump

IN_FLIGHT = 20
BLOB_EVERY = 10


def main() -> None:
    """The argument is the path of the database."""
    pump = Pump()
    store = SqliteStore(Path(sys.argv[1]), pump, mailbox_max_items=1_000_000)
    waiting = []
    for number in count():
        puts = [store.put_envelopes([letter(number).envelope], NOW)]
        if number % BLOB_EVERY == 0:
            puts.append(store.put_blobs([blob(number)], NOW))
        waiting.append((number, puts))
        if len(waiting) == IN_FLIGHT:
            oldest, answers = waiting.pop(0)
            if all(pump.result(answer)[0].durable for answer in answers):
                print(oldest, flush=True)


if __name__ == "__main__":
    main()
