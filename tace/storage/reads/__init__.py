"""What the reader thread asks of the database, and the look-ups the writer needs."""
