"""The stores: SQLite and memory, one contract."""
