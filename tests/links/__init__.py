"""Tests of tace.links."""
