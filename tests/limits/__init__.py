"""Tests of tace.limits."""
