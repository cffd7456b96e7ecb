"""The real store (SQLite) and the one in memory; both keep the promises of tace.seams.Store.

``sqlite.py`` is the store, ``schema/`` opens and upgrades its file, ``mending/`` carries what can
be read of a damaged one over into a new one, ``writes/`` and ``reads/`` are what its two threads
do, ``turns.py`` is such a thread; ``memory.py`` is the other store, with ``memory_blobs.py`` and
``memory_hints.py``.
"""
