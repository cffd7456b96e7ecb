"""A damaged database: what can be read of it is carried over into a new file, and the rest told."""
