"""Mailboxes on replicas: storing, watching, repairing."""
