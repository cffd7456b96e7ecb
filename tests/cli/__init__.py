"""The tace command."""
