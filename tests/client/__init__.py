"""Tests of tace.client."""
