"""A second client, written from docs/protocol alone, against the vectors and a real network."""
