"""Files: to the nodes and back."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import Deferred

from tace.client.errors import FileGone, NoNode
from tace.client.files import MAX_FILE_BYTES
from tace.client.rows import HistoryMessage
from tace.e2ee.content import PIECE_BYTES, File
from tace.e2ee.file import CHUNK_BYTES
from tace.errors import RateLimited, Refusal, TooLarge
from tace.wire.client import GetBlob, PutBlob, Send
from tace.wire.message import Message
from tests.client.fakes import run
from tests.client.people import Person
from tests.client.test_user import World


class Files(World):
    NODES = 2

    def send(self, sender: Person, to: Person, content: bytes) -> HistoryMessage:
        user = sender.program()
        self.progress: list[tuple[int, int]] = []

        async def sending() -> HistoryMessage:
            try:
                return await user.send_file(
                    to.identity,
                    BytesIO(content),
                    len(content),
                    "cat.png",
                    "image/png",
                    lambda done, count: self.progress.append((done, count)),
                )
            finally:
                await user.close()

        try:
            return run(self.clock, Deferred.fromCoroutine(sending()), 600.0)
        finally:
            user.home.close()

    def fetch(self, person: Person, file: File) -> bytes:
        user = person.program()
        target = BytesIO()

        async def fetching() -> None:
            try:
                await user.fetch_file(file, target, lambda done, count: None)
            finally:
                await user.close()

        try:
            run(self.clock, Deferred.fromCoroutine(fetching()), 600.0)
        finally:
            user.home.close()
        return target.getvalue()

    def received(self) -> File:
        self.bob.receive()
        file = self.bob.screen.shown[-1].file
        assert file is not None
        return file

    def test_there_and_back(self) -> None:
        """Empty, a byte, around a chunk's end, several: the same bytes, in chunks of one size."""
        content = self.alice.random.randbytes(3 * PIECE_BYTES)
        for size in (0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES):
            sent = self.send(self.alice, self.bob, content[:size])
            self.assertEqual(sent.state, "stored")
            file = self.received()
            self.assertEqual((file.name, file.type, file.size), ("cat.png", "image/png", size))
            self.assertEqual(self.fetch(self.bob, file), content[:size])
            count = max(1, -(-size // PIECE_BYTES))
            self.assertEqual(self.progress, [(n + 1, count) for n in range(count)])
        self.assertEqual({len(blob) for blob in self.store.blobs.values()}, {CHUNK_BYTES})

    def test_the_chunks_go_first(self) -> None:
        """Nobody learns of a file that the nodes do not have."""
        self.network.requests.clear()
        self.send(self.alice, self.bob, b"x" * (PIECE_BYTES + 1))
        kinds = [type(m) for _, m in self.network.requests if isinstance(m, PutBlob | Send)]
        self.assertEqual(kinds, [PutBlob, PutBlob, Send])

    def test_many_chunks_go_in_parts(self) -> None:
        """A file whose hashes fit no message is announced in several."""
        content = b"x" * (70 * PIECE_BYTES)
        self.send(self.alice, self.bob, content)
        self.assertEqual(self.fetch(self.bob, self.received()), content)

    def test_too_large(self) -> None:
        """Said before anything leaves."""
        user = self.alice.program()
        self.addCleanup(user.home.close)
        self.network.requests.clear()
        putting = user._files.put(BytesIO(), MAX_FILE_BYTES + 1, "", "", lambda *_: None)
        with self.assertRaises(TooLarge):
            run(self.clock, Deferred.fromCoroutine(putting))
        self.assertEqual(self.network.sent(PutBlob), [])

    def test_busy_nodes(self) -> None:
        """Another one takes it; where there is none it is waited for, as long as it says."""
        self.send(self.alice, self.bob, b"so that both nodes are known")
        first, second = self.network.nodes
        refused: list[float] = []

        def busy(request: Message) -> Refusal | None:
            if isinstance(request, PutBlob | GetBlob) and len(refused) < 3:
                refused.append(self.clock.seconds())
                return RateLimited("slower", 5_000)
            return None

        first.refuse = busy
        self.assertEqual(self.send(self.alice, self.bob, b"one").state, "stored")
        self.received()
        refused.clear()
        second.kill()
        self.assertEqual(self.send(self.alice, self.bob, b"two").state, "stored")
        self.assertEqual(len(refused), 3)
        file = self.received()
        refused.clear()
        self.assertEqual(self.fetch(self.bob, file), b"two")

    def test_few_copies(self) -> None:
        """A chunk that is not on most of its disks is no reason to announce it."""
        self.network.copies = 1
        with self.assertRaises(NoNode):
            self.send(self.alice, self.bob, b"one")
        self.assertEqual(self.network.sent(Send), [])
        user = self.alice.program()
        self.addCleanup(user.home.close)
        self.assertEqual(user.home.database.conversation(self.bob.identity), [])

    def test_a_better_stamp(self) -> None:
        """Replicas may want more than the node said."""
        for node in self.network.nodes:
            node.stamp_bits = 0
        self.assertEqual(self.send(self.alice, self.bob, b"one").state, "stored")
        targets = [message.stamp_target for message in self.network.sent(PutBlob)]
        self.assertEqual(targets, [0, self.network.stamp_bits])

    def test_what_the_nodes_have_no_more(self) -> None:
        """Or never had as it was announced."""
        self.send(self.alice, self.bob, b"one")
        file = self.received()
        (name,) = self.store.blobs
        self.store.blobs[name] = bytes(CHUNK_BYTES)
        with self.assertRaises(NoNode):
            self.fetch(self.bob, file)
        self.store.blobs.clear()
        with self.assertRaises(FileGone):
            self.fetch(self.bob, file)
