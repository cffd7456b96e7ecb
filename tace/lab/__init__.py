"""Trying tace out on one machine: a local network of real processes."""
