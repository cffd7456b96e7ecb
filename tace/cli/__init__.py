"""The ``tace`` command."""
