"""The real store (SQLite) and the one in memory; both keep the promises of tace.seams.Store.

``sqlite.py`` is the store, ``schema/`` opens and upgrades its file, ``writes/`` and ``reads/`` are
what its two threads do, ``turns.py`` is such a thread; ``memory.py`` is the other store, with
``memory_blobs.py``.
"""
