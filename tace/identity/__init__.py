"""Keys, node records, user records: what is signed, and how it is checked. No I/O."""
