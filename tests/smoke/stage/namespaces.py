"""Groups of nodes, each in a network namespace of its own, with links that can be cut.

Every group has one link to a common bridge, over which nodes talk, and one straight to the test,
which stays: so a group can be asked while the others cannot reach it. The addresses are of
198.18.0.0/15, which is set aside for tests of networks (RFC 2544).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from random import SystemRandom

from twisted.trial.unittest import SkipTest, TestCase

from tace.client.address import NodeAddress
from tace.lab.layout import NodePlan, lay_out
from tests.smoke.stage.nodes import Nodes, free_ports

COMMAND_SECONDS = 10


class Namespaces:
    """So many of them; all that was made is removed when the test ends, however it ends.

    :raises SkipTest: this machine, or who runs the test, cannot make any.
    """

    def __init__(self, test: TestCase, count: int) -> None:
        if os.geteuid():
            raise SkipTest("network namespaces are made by root alone")
        if shutil.which("ip") is None:
            raise SkipTest("network namespaces are made with ip, of Debian's iproute2")
        # Short: the name of an interface has 15 characters at most.
        random = SystemRandom()
        self.name = f"tace{random.randrange(16**4):04x}"
        self._subnet = random.randrange(256)
        self.count = count
        test.addCleanup(self.remove)
        try:
            _ip("link", "add", self.name, "type", "bridge")
            _ip("link", "set", self.name, "up")
            for group in range(count):
                self._make(group)
        except subprocess.CalledProcessError as error:
            raise SkipTest(f"no network namespaces here: {error.stderr.strip()}") from None

    def namespace(self, group: int) -> str:
        return f"{self.name}-{group}"

    def ring_address(self, group: int) -> str:
        """Where the nodes of that group are reached by other nodes."""
        return f"198.18.{self._subnet}.{group + 1}"

    def test_address(self, group: int) -> str:
        """Where they are reached by the test."""
        return f"198.19.{self._subnet}.{4 * group + 2}"

    def cut(self, group: int) -> None:
        """What it sends vanishes without a word, and so does what is sent to it."""
        _ip("link", "set", self._port(group), "nomaster")

    def restore(self, group: int) -> None:
        _ip("link", "set", self._port(group), "master", self.name)

    def remove(self) -> None:
        """With a namespace both ends of its links go."""
        for group in range(self.count):
            _ip("netns", "del", self.namespace(group), check=False)
            # Made before the namespace's end of it failed to be.
            _ip("link", "del", self._port(group), check=False)
        _ip("link", "del", self.name, check=False)

    # -- inside ----------------------------------------------------------------------------------

    def _port(self, group: int) -> str:
        return f"{self.name}p{group}"

    def _make(self, group: int) -> None:
        inside, port, straight = self.namespace(group), self._port(group), f"{self.name}t{group}"
        here = f"198.19.{self._subnet}.{4 * group + 1}/30"
        _ip("netns", "add", inside)
        _ip("link", "add", port, "type", "veth", "peer", "name", "ring", "netns", inside)
        _ip("link", "add", straight, "type", "veth", "peer", "name", "test", "netns", inside)
        _ip("addr", "add", here, "dev", straight)
        for device in (port, straight):
            _ip("link", "set", device, "up")
        for device, address in (
            ("ring", f"{self.ring_address(group)}/24"),
            ("test", f"{self.test_address(group)}/30"),
        ):
            _ip("-n", inside, "addr", "add", address, "dev", device)
        for device in ("lo", "ring", "test"):
            _ip("-n", inside, "link", "set", device, "up")
        self.restore(group)


class GroupedNodes(Nodes):
    """Node i stands in namespace i % groups.

    :param settings: by ``section.key``, for all nodes, over the defaults.
    """

    def __init__(
        self, test: TestCase, spaces: Namespaces, count: int, settings: dict[str, object]
    ) -> None:
        self._spaces = spaces
        super().__init__(test, count, settings)

    def lay_out(self, count: int, settings: Mapping[str, object]) -> list[NodePlan]:
        first = free_ports(2 * count)
        hosts = [self._spaces.ring_address(self.group(index)) for index in range(count)]
        peers = [f"{host}:{first + 2 * index + 1}" for index, host in enumerate(hosts)]
        own = [
            {
                "gateway.listen": f"tcp:{first + 2 * index}:interface={self._asked_at(index)}",
                "links.listen": f"tcp:{first + 2 * index + 1}:interface={hosts[index]}",
                "links.advertise": [peer],
                "links.seeds": [other for other in peers if other != peer],
            }
            for index, peer in enumerate(peers)
        ]
        return lay_out(self.base, count, first, settings, own=own)

    def before(self, index: int) -> list[str]:
        space = self._spaces.namespace(self.group(index))
        return ["/usr/bin/env", "ip", "netns", "exec", space]

    def group(self, index: int) -> int:
        return index % self._spaces.count

    def members(self, group: int) -> list[int]:
        return [index for index in range(len(self)) if self.group(index) == group]

    def address(self, index: int) -> NodeAddress:
        port = self.plans[index].client_port
        return NodeAddress.parse(f"http://{self._asked_at(index)}:{port}")

    def _asked_at(self, index: int) -> str:
        return self._spaces.test_address(self.group(index))


def _ip(*arguments: str, check: bool = True) -> None:
    """:raises subprocess.CalledProcessError: it did not work, and that was to be checked."""
    subprocess.run(
        ["ip", *arguments],
        check=check,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
