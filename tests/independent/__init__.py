"""A second client and a second node, written from docs/protocol alone, against real ones."""
