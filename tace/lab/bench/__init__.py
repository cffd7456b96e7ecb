"""Measuring a network: real node processes, and load that is made in other processes."""
