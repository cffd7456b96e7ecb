"""Local networks."""
