"""The simulator: its parts, one ring of twenty, and the mutants it must catch."""
