"""Real nodes under random ``kill -9``, pauses, restarts and wiped disks, with clients throughout.

The fault model, and what follows from it, stands in :mod:`tace.lab.chaos.plan`.
"""
