"""The database file: its numbered schema steps (0001.sql ...), opening it, upgrading it."""
