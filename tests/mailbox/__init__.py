"""Tests of mailboxes on replicas."""
