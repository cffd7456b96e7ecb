"""The soak of :mod:`tace.lab.soak`: its parts, and two minutes of it."""
