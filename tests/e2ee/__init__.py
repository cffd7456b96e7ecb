"""Tests of the end-to-end protocol."""
