"""The hostile list: what strangers may try on a node, each try as a reusable coroutine.

One module for each family: :mod:`peers` (strangers at the peer port), :mod:`liars` (nodes that pass
the hello and then lie), :mod:`objects` (what is put into mailboxes), :mod:`clients` (over
WebSocket) and :mod:`http` (raw bytes at the client port). :mod:`catalogue` has them all by name.
"""
