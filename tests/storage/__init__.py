"""Tests of tace.storage: one contract for both stores, and what only the one on disk promises."""
