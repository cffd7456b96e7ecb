"""Directories, settings files and ports of a local network."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.config import load_settings
from tace.errors import SettingsError, StartError
from tace.lab.layout import NodePlan, ensure_free, lay_out


class LayOut(SynchronousTestCase):
    """What a first start writes, and what a later one keeps."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()

    def test_first_start(self) -> None:
        """Ports are counted from 8080; a node's data lies beside its node.toml; all are seeds."""
        plans = lay_out(self.base, 3, None, {})
        self.assertEqual(
            [(plan.client_port, plan.peer_port) for plan in plans],
            [(8080, 8081), (8082, 8083), (8084, 8085)],
        )
        settings = load_settings(self.base / "node-1" / "node.toml", {})
        self.assertEqual(settings.node.data_dir, self.base / "node-1")
        self.assertEqual(settings.gateway.listen, "tcp:8082:interface=127.0.0.1")
        self.assertEqual(settings.links.listen, "tcp:8083:interface=127.0.0.1")
        self.assertEqual(settings.links.seeds, ("127.0.0.1:8081", "127.0.0.1:8085"))
        self.assertEqual(plans[1].url, "http://127.0.0.1:8082")

    def test_first_port(self) -> None:
        """Counted from the port that was asked for, also when the nodes had others."""
        lay_out(self.base, 2, None, {})
        plans = lay_out(self.base, 2, 9000, {})
        self.assertEqual([plan.client_port for plan in plans], [9000, 9002])
        settings = load_settings(plans[0].config, {})
        self.assertEqual(settings.links.listen, "tcp:9001:interface=127.0.0.1")
        self.assertEqual(settings.links.seeds, ("127.0.0.1:9003",))

    def test_any_free_ports(self) -> None:
        """All differ; a later start has the same ones, however it is asked."""
        plans = lay_out(self.base, 4, 0, {})
        ports = {port for plan in plans for port in (plan.client_port, plan.peer_port)}
        self.assertEqual(len(ports), 8)
        self.assertNotIn(0, ports)
        self.assertEqual(lay_out(self.base, 4, 0, {}), plans)
        self.assertEqual(lay_out(self.base, 4, None, {}), plans)

    def test_network_grows(self) -> None:
        """New nodes are added; the old keep their ports and learn of the new as seeds."""
        two = lay_out(self.base, 2, 0, {})
        three = lay_out(self.base, 3, 0, {})
        self.assertEqual(three[:2], two)
        settings = load_settings(three[0].config, {})
        self.assertIn(f"127.0.0.1:{three[2].peer_port}", settings.links.seeds)

    def test_operator_settings_stay(self) -> None:
        """What somebody set in node.toml is there after another start."""
        (plan,) = lay_out(self.base, 1, None, {})
        text = plan.config.read_text().replace("8080:interface=127.0.0.1", "8090")
        plan.config.write_text(text + "\n[ring]\nreplicas = 5\n")
        (again,) = lay_out(self.base, 1, None, {})
        settings = load_settings(plan.config, {})
        self.assertEqual(again.client_port, 8090)
        self.assertEqual(settings.gateway.listen, "tcp:8090")
        self.assertEqual(settings.ring.replicas, 5)

    def test_overrides(self) -> None:
        """Options reach every node, and a later start without them keeps their effect."""
        lay_out(self.base, 2, None, {"ring.replicas": 3, "limits.requests_stamp_bits": 0})
        for plan in lay_out(self.base, 2, None, {}):
            settings = load_settings(plan.config, {})
            self.assertEqual(settings.ring.replicas, 3)
            self.assertEqual(settings.limits.requests_stamp_bits, 0)

    def test_own_settings(self) -> None:
        """Those that differ from node to node; they go before what all have."""
        own = [{"gateway.window": 1}, {"gateway.window": 2}]
        plans = lay_out(self.base, 2, 0, {"gateway.window": 9, "ring.replicas": 3}, own=own)
        settings = [load_settings(plan.config, {}) for plan in plans]
        self.assertEqual([each.gateway.window for each in settings], [1, 2])
        self.assertEqual([each.ring.replicas for each in settings], [3, 3])

    def test_certificate(self) -> None:
        """A node with a certificate is dialled with TLS, at the start that names it too."""
        certificate = {"gateway.certificate_file": "/a.pem", "gateway.private_key_file": "/k.pem"}
        first = lay_out(self.base, 1, None, certificate)
        again = lay_out(self.base, 1, None, {})
        self.assertEqual([plan.url for plan in (*first, *again)], ["https://127.0.0.1:8080"] * 2)

    def test_unchanged_files_are_left_alone(self) -> None:
        """A start that changes nothing writes nothing."""
        (plan,) = lay_out(self.base, 1, None, {})
        before = plan.config.stat().st_mtime_ns
        lay_out(self.base, 1, None, {})
        self.assertEqual(plan.config.stat().st_mtime_ns, before)

    def test_at_most_eight_seeds(self) -> None:
        """A hundred nodes do not each list ninety-nine."""
        plans = lay_out(self.base, 12, None, {})
        self.assertEqual(len(load_settings(plans[11].config, {}).links.seeds), 8)

    def test_broken_file(self) -> None:
        """A node.toml that cannot be used is named, and nothing is written."""
        (plan,) = lay_out(self.base, 1, None, {})
        plan.config.write_text("[ring]\nreplicas = 0\n")
        with self.assertRaisesRegex(SettingsError, f"{plan.config}: .ring. replicas"):
            lay_out(self.base, 1, None, {})

    def test_not_a_directory(self) -> None:
        """A base directory that is a file."""
        self.base.write_text("")
        with self.assertRaisesRegex(StartError, "node-0/node.toml: Not a directory"):
            lay_out(self.base, 1, None, {})

    def test_beyond_the_last_port(self) -> None:
        """There are 65,535 ports."""
        with self.assertRaisesRegex(StartError, "3 nodes from port 65532 need ports over 65535"):
            lay_out(self.base, 3, 65532, {})
        self.assertEqual(lay_out(self.base, 2, 65532, {})[1].peer_port, 65535)


class EnsureFree(SynchronousTestCase):
    """A taken port is found before anything is started."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()

    def test_free(self) -> None:
        """Free ports are no error."""
        ensure_free(lay_out(self.base, 2, 0, {}))

    def test_taken(self) -> None:
        """Port, node, option and setting are named."""
        (plan,) = lay_out(self.base, 1, 0, {})
        with socket.socket() as other:
            other.bind(("127.0.0.1", plan.peer_port))
            other.listen()
            with self.assertRaises(StartError) as caught:
                ensure_free([plan])
        self.assertEqual(
            str(caught.exception),
            f"port {plan.peer_port} cannot be had for node 0 (Address already in use): choose "
            f"others with --first-port, or change [links] listen in {plan.config}",
        )

    def test_planned_twice(self) -> None:
        """Two nodes that an operator gave one port."""
        (plan,) = lay_out(self.base, 1, 0, {})
        twin = NodePlan(1, self.base, plan.peer_port, plan.client_port)
        with self.assertRaisesRegex(StartError, "another node has it"):
            ensure_free([plan, twin])
