"""A user's program: home directory, outbox, history, connections (docs/protocol/client.md).

The ``tace`` command, bots, tests and load tests all use it: :class:`~tace.client.user.User` is the
face of the package.
"""
