"""The chaos of :mod:`tace.lab.chaos`: its parts, and a short run of it."""
