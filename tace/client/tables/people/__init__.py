"""Who is known, and with which devices."""
