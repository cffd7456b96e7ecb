"""What a node does not ask for while it is measured: that nobody wants too much of it."""

from __future__ import annotations

from tace.config.sections import TABLE

RATE_LIMITS = ("_per_second", "_per_address")
"""How the settings end that bound what one peer or address may do; 0 turns each of them off."""


def rates_off() -> dict[str, object]:
    """Settings for load that comes from one address and is meant to be more than is allowed."""
    return {name: 0 for name, row in TABLE.items() if row.key.endswith(RATE_LIMITS)}
