"""The settings of a node, from a TOML file and the environment.

``sections`` holds the table: each section is a dataclass and each of its fields one row with name,
type, default, meaning and what is allowed. The reader, the environment's names, ``conf/node.toml``
and the text of every error come from these rows; to add a setting, add a row.

``[gateway] listen`` in the file is ``TACE_GATEWAY_LISTEN`` in the environment, which wins. What is
unknown or cannot be used stops the start with one line.
"""

from tace.config.reading import default_settings, load_settings, setting_from_text
from tace.config.sections import (
    GatewaySettings,
    LimitsSettings,
    LinksSettings,
    NodeSettings,
    ObserveSettings,
    RingSettings,
    Settings,
    StorageSettings,
)
from tace.config.writing import sample_toml, toml_text

__all__ = [
    "GatewaySettings",
    "LimitsSettings",
    "LinksSettings",
    "NodeSettings",
    "ObserveSettings",
    "RingSettings",
    "Settings",
    "StorageSettings",
    "default_settings",
    "load_settings",
    "sample_toml",
    "setting_from_text",
    "toml_text",
]
