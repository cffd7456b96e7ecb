"""End to end: recovery code, prekeys, PQXDH, Double Ratchet, sealed envelopes, contents. Pure.

The law is docs/protocol/e2ee.md. Nothing here does I/O, reads a clock or draws randomness by
itself: time comes in as ``now`` (unix seconds), randomness as ``random_bytes(count)``. The two
exceptions are operations whose library draws its own: HPKE sealing and ML-KEM encapsulation.
"""
