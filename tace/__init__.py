"""tace: an end-to-end encrypted messenger whose independent nodes form one Chord ring."""

__version__ = "0.1.0"
