"""Tests of tace.identity."""
