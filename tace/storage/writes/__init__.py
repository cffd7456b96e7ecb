"""What the writer thread does to the database: many puts, one transaction."""
