"""The settings: defaults, file, environment, and the one line each mistake gets."""

from __future__ import annotations

import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.config import (
    Settings,
    default_settings,
    load_settings,
    sample_toml,
    setting_from_text,
    toml_text,
)
from tace.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent


class SettingsCase(SynchronousTestCase):
    """Writes settings files."""

    def file(self, text: str | bytes) -> Path:
        path = Path(self.mktemp()).resolve() / "node.toml"
        path.parent.mkdir()
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(self, text: str, environ: dict[str, str] | None = None) -> Settings:
        return load_settings(self.file(text), environ or {})


class Reading(SettingsCase):
    """What is given arrives, with its type."""

    def test_defaults(self) -> None:
        """Without a file and an environment every setting has its default."""
        settings = load_settings(None, {"PATH": "/bin", "TACE_HOME": "elsewhere"})
        self.assertEqual(settings, default_settings())
        self.assertEqual(settings.links.listen, "tcp:6512")
        self.assertEqual(settings.gateway.listen, "tcp:8080:interface=127.0.0.1")
        self.assertEqual(settings.ring.replicas, 8)
        self.assertEqual(settings.node.data_dir, Path("data/node"))
        self.assertIsNone(settings.links.ca_file)

    def test_where_seeds_are_found(self) -> None:
        """Addresses with and without an id, names, and who is asked for those."""
        seeds = ("a.example:6512", f"[::1]:7000#{'ab' * 32}")
        settings = default_settings(
            **{
                "links.seeds": seeds,
                "links.seed_names": ("net.example", "x", "_a-b.example."),
                "links.name_servers": ("10.0.0.1", "::1", "10.0.0.1:5353", "[::1]:5353"),
            }
        )
        self.assertEqual(settings.links.seeds, seeds)
        for key, bad in (
            ("seed_names", "a..b"),
            ("seed_names", "https://a.example"),
            ("seed_names", "a" * 64),
            ("seed_names", "a." * 121 + "b"),
            ("seed_names", ""),
            ("name_servers", "ns.example"),
            ("name_servers", "10.0.0.1:0"),
            ("name_servers", "10.0.0.1:99999"),
            ("seeds", "a.example:6512#ab"),
        ):
            with self.assertRaisesRegex(SettingsError, key):
                default_settings(**{f"links.{key}": (bad,)})
        for key, one, most in (
            ("seeds", "a.example:1", 64),
            ("seed_names", "a.example", 8),
            ("name_servers", "::1", 4),
        ):
            default_settings(**{f"links.{key}": (one,) * most})
            with self.assertRaisesRegex(SettingsError, f"{key}: at most {most}"):
                default_settings(**{f"links.{key}": (one,) * (most + 1)})

    def test_every_type_from_a_file(self) -> None:
        """Whole numbers, numbers, text, lists, paths, yes or no."""
        settings = self.load(
            "[gateway]\nweb = false\n"
            "[ring]\nreplicas = 3\nstabilize_quiet_seconds = 2\n"
            '[links]\nseeds = ["a.example:6512", "[::1]:7000"]\n'
            '[storage]\nkind = "memory"\n'
        )
        self.assertEqual(settings.ring.replicas, 3)
        self.assertEqual(settings.ring.stabilize_quiet_seconds, 2.0)
        self.assertIs(type(settings.ring.stabilize_quiet_seconds), float)
        self.assertEqual(settings.links.seeds, ("a.example:6512", "[::1]:7000"))
        self.assertEqual(settings.storage.kind, "memory")
        self.assertIs(settings.gateway.web, False)

    def test_every_type_from_the_environment(self) -> None:
        """The same from text; a list is separated by commas."""
        settings = load_settings(
            None,
            {
                "TACE_RING_REPLICAS": "3",
                "TACE_RING_STABILIZE_QUIET_SECONDS": "2.5",
                "TACE_LINKS_SEEDS": "a.example:6512, b.example:6512",
                "TACE_NODE_DATA_DIR": "elsewhere",
                "TACE_GATEWAY_LISTEN": "tcp:9000",
                "TACE_GATEWAY_WEB": "False",
                "TACE_LINKS_CA_FILE": "",
            },
        )
        self.assertEqual(settings.ring.replicas, 3)
        self.assertEqual(settings.ring.stabilize_quiet_seconds, 2.5)
        self.assertEqual(settings.links.seeds, ("a.example:6512", "b.example:6512"))
        self.assertEqual(settings.node.data_dir, Path("elsewhere"))
        self.assertEqual(settings.gateway.listen, "tcp:9000")
        self.assertIs(settings.gateway.web, False)
        self.assertIsNone(settings.links.ca_file)

    def test_environment_wins(self) -> None:
        """What both name, the environment decides."""
        settings = self.load("[ring]\nreplicas = 3\n", {"TACE_RING_REPLICAS": "5"})
        self.assertEqual(settings.ring.replicas, 5)

    def test_paths_start_at_the_file(self) -> None:
        """A relative path in a file belongs to its directory, an absolute one stays."""
        path = self.file('[node]\ndata_dir = "."\n')
        self.assertEqual(load_settings(path, {}).node.data_dir, path.parent)
        absolute = self.load('[node]\ndata_dir = "/srv/tace"\n')
        self.assertEqual(absolute.node.data_dir, Path("/srv/tace"))

    def test_certificate_moves_the_default_port(self) -> None:
        """Clients are at 8443 once there is a certificate, unless listen says otherwise."""
        both = '[gateway]\ncertificate_file = "c.pem"\nprivate_key_file = "k.pem"\n'
        self.assertEqual(self.load(both).gateway.listen, "tcp:8443")
        self.assertEqual(self.load(both + 'listen = "tcp:9"\n').gateway.listen, "tcp:9")

    def test_network_id(self) -> None:
        """Networks of different names have different ids."""
        one, other = default_settings(), default_settings(**{"node.network": "other"})
        self.assertEqual(len(one.network_id), 32)
        self.assertNotEqual(one.network_id, other.network_id)

    def test_frozen(self) -> None:
        """Nobody changes a setting under somebody else's feet."""
        with self.assertRaises(FrozenInstanceError):
            default_settings().ring.replicas = 4  # type: ignore[misc]


class Mistakes(SettingsCase):
    """Each stops the start with one line: where, which setting, what is allowed."""

    def complains(
        self, about: str, text: str | bytes, environ: dict[str, str] | None = None
    ) -> None:
        path = self.file(text)
        with self.assertRaises(SettingsError) as caught:
            load_settings(path, environ or {})
        self.assertEqual(str(caught.exception), about.replace("FILE", str(path)))
        self.assertNotIn("\n", str(caught.exception))

    def test_unknown_section(self) -> None:
        """The sections are listed."""
        self.complains(
            "FILE: [rnig]: no such section; there are [node], [links], [ring], [storage], "
            "[gateway], [limits], [observe]",
            "[rnig]\nreplicas = 3\n",
        )

    def test_outside_a_section(self) -> None:
        """A key above the first section is named."""
        self.complains(
            "FILE: [replicas]: no such section; there are [node], [links], [ring], [storage], "
            "[gateway], [limits], [observe]",
            "replicas = 3\n",
        )
        self.complains("FILE: ring: is a section: write [ring] above it", "ring = 3\n")

    def test_unknown_key(self) -> None:
        """The keys of the section are listed."""
        self.complains(
            "FILE: [observe] metrics: no such setting; [observe] has metrics_listen",
            "[observe]\nmetrics = 1\n",
        )

    def test_unknown_variable(self) -> None:
        """A variable that looks like a setting and is none stops the start too."""
        self.complains(
            "TACE_OBSERVE_PORT: no such setting; [observe] has metrics_listen",
            "",
            {"TACE_OBSERVE_PORT": "1"},
        )

    def test_wrong_type(self) -> None:
        """Of each type."""
        for line, complaint in (
            ("[ring]\nreplicas = true", "[ring] replicas: True is not allowed; "
             "use a whole number, 1 to 32"),
            ("[ring]\nreplicas = 3.0", "[ring] replicas: 3.0 is not allowed; "
             "use a whole number, 1 to 32"),
            ('[links]\nlost_after_seconds = "3"', "[links] lost_after_seconds: '3' is not "
             "allowed; use a number, 0.1 to 300"),
            ("[gateway]\nweb = 1", "[gateway] web: 1 is not allowed; use true or false"),
            ('[gateway]\nweb = "no"', "[gateway] web: 'no' is not allowed; use true or false"),
            ("[node]\nnetwork = 1", "[node] network: 1 is not allowed; use text, 1 to 64 bytes"),
            ("[node]\ndata_dir = ''", "[node] data_dir: '' is not allowed; use a path"),
            ("[links]\nca_file = 1", "[links] ca_file: 1 is not allowed; use a path, or empty"),
            ("[links]\nseeds = 'a:1'", "[links] seeds: 'a:1' is not allowed; "
             "use a list, host:port or host:port#node-id each"),
        ):  # fmt: skip
            self.complains(f"FILE: {complaint}", line)

    def test_value_not_allowed(self) -> None:
        """Right type, wrong value: bounds, words, endpoints, addresses."""
        for line, complaint in (
            ("[ring]\nreplicas = 0", "[ring] replicas: 0 is not allowed; "
             "use a whole number, 1 to 32"),
            ("[links]\nping_after_seconds = nan", "[links] ping_after_seconds: nan is not "
             "allowed; use a number, 0.05 to 60"),
            ('[storage]\nkind = "disk"', "[storage] kind: 'disk' is not allowed; "
             "use text, sqlite or memory"),
            ('[gateway]\nlisten = "8080"', "[gateway] listen: '8080' is not allowed; "
             "use text, such as tcp:PORT or tcp:PORT:interface=ADDRESS"),
            ('[gateway]\nlisten = "tcp:65536"', "[gateway] listen: 'tcp:65536' is not allowed; "
             "use text, such as tcp:PORT or tcp:PORT:interface=ADDRESS"),
            ('[links]\nadvertise = ["a:0"]', "[links] advertise: ['a:0'] is not allowed; "
             "use a list, host:port each"),
            ('[gateway]\nnames = ["a.example"]', "[gateway] names: ['a.example'] is not allowed; "
             "use a list, such as https://tace.example each"),
        ):  # fmt: skip
            self.complains(f"FILE: {complaint}", line)

    def test_value_from_the_environment(self) -> None:
        """The variable is named, not the file."""
        self.complains(
            "TACE_RING_REPLICAS: 'many' is not allowed; use a whole number, 1 to 32",
            "",
            {"TACE_RING_REPLICAS": "many"},
        )

    def test_number_beyond_floats(self) -> None:
        """A whole number that no float can hold is refused like any other."""
        with self.assertRaisesRegex(SettingsError, "is not allowed; use a number"):
            self.load(f"[links]\nlost_after_seconds = {'9' * 400}\n")

    def test_contradictions(self) -> None:
        """What only shows when two settings are looked at together."""
        neither = "certificate_file and private_key_file: set both or neither"
        self.complains(f"FILE: [gateway] {neither}", '[gateway]\ncertificate_file = "c"\n')
        self.complains(f"FILE: [links] {neither}", '[links]\nprivate_key_file = "k"\n')
        self.complains(
            "FILE: [links] ca_file: needs certificate_file and private_key_file",
            '[links]\nca_file = "ca"\n',
        )
        self.complains(
            "FILE: [links] ping_after_seconds: must be less than lost_after_seconds",
            "[links]\nping_after_seconds = 3.0\n",
        )
        self.complains(
            "FILE: [links] advertise: at most 4 are allowed, not 5",
            '[links]\nadvertise = ["a:1", "a:2", "a:3", "a:4", "a:5"]\n',
        )

    def test_not_toml(self) -> None:
        """The place of the mistake is named; bytes that are no text get a line as well."""
        path = self.file("[ring]\nreplicas 3\n")
        with self.assertRaisesRegex(SettingsError, f"^{path}: not TOML: .*line 2.*$"):
            load_settings(path, {})
        with self.assertRaisesRegex(SettingsError, "not TOML: 'utf-8' codec"):
            load_settings(self.file(b"\xff\xff"), {})

    def test_no_file(self) -> None:
        """A file that is not there, and one that is a directory."""
        missing = Path(self.mktemp())
        with self.assertRaisesRegex(SettingsError, f"^{missing}: No such file or directory$"):
            load_settings(missing, {})
        with self.assertRaisesRegex(SettingsError, "^.*: Is a directory$"):
            load_settings(self.file("").parent, {})

    def test_overrides(self) -> None:
        """The tests' helper is as strict as the file."""
        with self.assertRaisesRegex(SettingsError, "ring.replica: no such setting"):
            default_settings(**{"ring.replica": 3})
        with self.assertRaisesRegex(SettingsError, "ring.replicas: 0 is not allowed"):
            default_settings(**{"ring.replicas": 0})


class Writing(SettingsCase):
    """Files that are written read back."""

    def test_round_trip(self) -> None:
        """Whatever was written is what is read, awkward characters included."""
        values: dict[str, Any] = {
            "node.data_dir": Path('/srv/with "quotes" and \x7f'),
            "node.zone": "back\\slash\n",
            "links.seeds": ("a:1", "b:2"),
            "links.call_timeout_seconds": 0.1,
            "ring.replicas": 3,
            "gateway.web": False,
        }
        self.assertEqual(self.load(toml_text(values)), default_settings(**values))

    def test_refuses_what_could_not_be_read(self) -> None:
        """A file that would stop the start is not written."""
        with self.assertRaises(SettingsError):
            toml_text({"ring.replicas": 0})

    def test_sample_is_current(self) -> None:
        """conf/node.toml is what scripts/make-conf writes."""
        self.assertEqual((ROOT / "conf" / "node.toml").read_text(encoding="utf-8"), sample_toml())

    def test_sample_holds_the_defaults(self) -> None:
        """With every setting's # removed the sample is a file that says the defaults."""
        lines = [
            line.removeprefix("#") if line.startswith("#") and line[1:2].isalpha() else line
            for line in sample_toml().splitlines()
        ]
        text = "\n".join(lines).replace('"./data/node"', f'"{Path.cwd()}/data/node"')
        document = tomllib.loads(text)
        self.assertEqual(len(document["links"]), 20)
        overrides = {"node.data_dir": Path.cwd() / "data/node"}
        self.assertEqual(self.load(text), default_settings(**overrides))

    def test_from_text(self) -> None:
        """``--set ring.replicas=3`` and its mistakes."""
        self.assertEqual(setting_from_text("ring.replicas", "3"), 3)
        self.assertEqual(setting_from_text("links.seeds", "a:1,b:2"), ("a:1", "b:2"))
        with self.assertRaisesRegex(SettingsError, "rnig.replicas: no such section; there are"):
            setting_from_text("rnig.replicas", "3")
        with self.assertRaisesRegex(SettingsError, "ring: no such setting"):
            setting_from_text("ring", "3")
