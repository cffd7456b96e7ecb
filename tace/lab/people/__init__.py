"""Honest people: the real client with its outbox, what they write, and what became of it."""
