"""Clients at a node: the transport-free session, and the adapters that carry it."""
