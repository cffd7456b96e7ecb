"""Tests of tace.wire."""
